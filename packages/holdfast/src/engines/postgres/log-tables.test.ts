import { expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { startTestPostgres } from "../../testkit/index.ts";
import { installFramework } from "./install.ts";
import { openTopicLog } from "./log-tables.ts";
import { openDatabaseNodes } from "./nodes.ts";

test("a log that an earlier version made gets room for the publisher's session when it is opened", async () => {
  await using postgres = await startTestPostgres();
  const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "tables" });
  await installFramework(nodes);
  const primary = nodes.primary(nodes.home);
  const log = await primary.use((session) => openTopicLog(session, "events", 2));
  const change = `begin read write; alter table ${log.table} drop column session; commit`;
  await primary.use((session) => session.send({ text: change }));
  expect(await primary.use((session) => openTopicLog(session, "events", 2))).toEqual(log);
  await primary.use((session) => session.send({ text: `select session from ${log.table}` }));
  await nodes.close();
});
