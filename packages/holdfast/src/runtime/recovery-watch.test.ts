import { expect, test } from "vitest";
import type { HoldfastError } from "../call/index.ts";
import { manualClock, systemClock } from "../clock/index.ts";
import { formatGid } from "../engines/postgres/cross-shard-gid.ts";
import { installFramework, openDatabaseNodes } from "../engines/postgres/index.ts";
import { database } from "../parts/database/index.ts";
import { startTestPostgres, until } from "../testkit/index.ts";
import { adviceFor, watchInDoubt } from "./recovery-watch.ts";

test("what nobody decided for is rolled back, what is not Holdfast's is told once and left alone, and stopping holds no timer", async () => {
  await using postgres = await startTestPostgres();
  const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "recovery test" });
  try {
    await installFramework(nodes);
    const id = "0197f1c2-0000-7000-8000-00000000002a";
    const ours = formatGid({ id, number: 1, participants: 1, coordinator: "node-1" });
    const ask = (text: string) =>
      nodes.primary("node-1").use((session) => session.send<{ gid: string }>({ text }));
    for (const gid of [ours, "somebody else"]) {
      await nodes.primary("node-1").use(async (session) => {
        await session.send({ text: "begin read write" });
        await session.send({ text: `prepare transaction '${gid}'` });
      });
    }
    const prepared = async () => (await ask("select gid from pg_prepared_xacts")).rows.map(({ gid }) => gid);
    expect((await prepared()).sort()).toEqual([ours, "somebody else"].sort());

    const clock = manualClock();
    const alarms: HoldfastError[] = [];
    const alarm = (error: HoldfastError) => alarms.push(error);
    const bank = database<never>("bank", { shards: { count: 4 } });
    const watch = watchInDoubt({ database: bank, nodes, clock, alarm, alarmMs: 1_000 });
    // Old enough by the server's clock, which waits for nobody.
    await until(async () => {
      await clock.advance(10_000);
      return (await prepared()).length === 1;
    });
    await until(async () => {
      await clock.advance(10_000);
      return alarms.length > 0 && watch.inDoubt().length === 1;
    });
    expect(await prepared()).toEqual(["somebody else"]);
    expect(watch.inDoubt()).toMatchObject([{ node: "node-1", gid: "somebody else", why: "foreign" }]);
    const foreign = alarms.filter(({ data }) => data.gid === "somebody else");
    expect(foreign).toHaveLength(1);
    expect(foreign[0]).toMatchObject({ code: "HOLDFAST_IN_DOUBT", data: { node: "node-1", why: "foreign" } });
    expect(foreign[0]?.message).toContain(adviceFor(watch.inDoubt()[0] as never));
    await ask("rollback prepared 'somebody else'");
    await until(async () => {
      await clock.advance(10_000);
      return watch.inDoubt().length === 0;
    });
    watch.stop();
    await until(() => clock.pendingTimers === 0, { what: "the round under way to end, and none to follow" });
  } finally {
    await nodes.close();
  }
});
