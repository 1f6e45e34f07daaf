/** Deep, because each of three elections waits for a silence and a vote. */
import { expect, test } from "vitest";
import { startTestRedis } from "./redis.ts";
import { until } from "./wait.ts";

test("a cluster replaces each of its primaries in turn, and takes it back as a replica", async () => {
  await using redis = await startTestRedis({ primaries: 3, replicas: 1, cluster: true });
  for (const killed of await redis.leaders()) {
    await killed.kill();
    const leaders = await redis.leaders();
    expect(leaders).toHaveLength(3);
    expect(leaders).not.toContain(killed);
    await killed.restart();
    const back = async () => (await killed.command("info", "replication")).includes("master_link_status:up");
    await until(back, { what: `${killed.name} as a replica` });
  }
});
