/** Members whose joining was lost with a home that failed over, beside the successors that they must not drive out. */
import { expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { startTestPostgres } from "../../testkit/index.ts";
import { installFramework } from "./install.ts";
import { timelineNow, timelineOf } from "./log-sequence.ts";
import { boundedSessions } from "./log-session.ts";
import { openTopicLog } from "./log-tables.ts";
import { openDatabaseNodes } from "./nodes.ts";
import { type MemberComing, openConsumer, renewMember } from "./topic-group.ts";

test("a member that had joined a lost server comes back, unless a later process has its name", async () => {
  await using postgres = await startTestPostgres();
  const config = await postgres.freshDatabase();
  const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "group" });
  await installFramework(nodes);
  const use = boundedSessions(nodes.primary(nodes.home), systemClock);
  const log = await use((session) => openTopicLog(session, "events", 2));
  const consumerId = await use((session) => openConsumer(session, log, "reader"));
  const renew = (member: string, coming: MemberComing) =>
    use((session) => renewMember(session, consumerId, "reader", member, 600_000, coming));
  await renew("tally@1", "join");
  // Its successor had joined the server that was lost: here only the dead one is known.
  await expect(renew("tally@2", "renew")).rejects.toMatchObject({ code: "HOLDFAST_FENCED" });
  const claims = await renew("tally@2", "rejoin");
  expect(claims).toHaveLength(2);
  // The other way round nobody is driven out.
  await expect(renew("tally@1", "rejoin")).rejects.toMatchObject({ code: "HOLDFAST_FENCED" });
  await expect(renew("tally@1", "renew")).rejects.toMatchObject({ code: "HOLDFAST_FENCED" });
  expect(await renew("tally@2", "renew")).toEqual(claims);
  await nodes.close();
});

test("the server says the timeline that it writes on, and numbers say theirs", async () => {
  await using postgres = await startTestPostgres();
  const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "timeline" });
  const { rows } = await nodes
    .primary(nodes.home)
    .use((session) => session.send<{ now: number }>({ text: `select ${timelineNow} as now` }));
  expect(rows).toEqual([{ now: 1 }]);
  expect([0n, 1n, 1n << 40n, (1n << 40n) + 1n, (3n << 40n) + 5n].map(timelineOf)).toEqual([1, 1, 1, 2, 4]);
  await nodes.close();
});
