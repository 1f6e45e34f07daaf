import pg from "pg";
import { expect, test } from "vitest";
import { manualClock, systemClock } from "../clock/index.ts";
import { installFramework, openDatabaseNodes } from "../engines/postgres/index.ts";
import { startTestPostgres, until } from "../testkit/index.ts";
import { keepUp, upkeepMs } from "./upkeep.ts";

test("markers of two days ago are emptied within the hour, those of today stay, and stopping holds no timer", async () => {
  await using postgres = await startTestPostgres();
  const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "upkeep test" });
  const client = new pg.Client(postgres.config.nodes[0]?.primary);
  await client.connect();
  try {
    await installFramework(nodes);
    const { rows } = await client.query("select (extract(epoch from now())::bigint / 86400)::int as day");
    const [today, next] = [rows[0].day % 3, (rows[0].day + 1) % 3];
    await client.query("insert into holdfast.marker (id, shard) values (gen_random_uuid(), 0)");
    await client.query(
      `insert into holdfast.marker_${next} (id, shard, slot) values (gen_random_uuid(), 0, ${next})`,
    );
    const count = async (slot: number) =>
      Number((await client.query(`select count(*) from holdfast.marker_${slot}`)).rows[0].count);
    expect([await count(today), await count(next)]).toEqual([1, 1]);

    const clock = manualClock();
    const stop = keepUp(nodes, clock);
    await clock.advance(upkeepMs);
    await until(async () => (await count(next)) === 0, { what: "the old slot to be empty" });
    expect(await count(today)).toBe(1);
    await until(() => clock.pendingTimers === 1, { what: "the next round to be planned" });
    stop();
    expect(clock.pendingTimers).toBe(0);
  } finally {
    await client.end();
    await nodes.close();
  }
});
