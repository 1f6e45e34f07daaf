/** The supervised servers of a system: a primary that cannot come back. */
import { expect, test } from "vitest";
import { findServerProcesses } from "../engines/postgres/embedded/index.ts";
import { until } from "../testkit/index.ts";
import { loseDir } from "../testkit/lose-dir.ts";
import { failoverNotice } from "./failover-notice.ts";
import { superviseNodes } from "./fixtures/supervised-nodes.ts";

const supervised = superviseNodes();

const states = async () =>
  (await supervised.nodes.status()).map(({ name, state, lagBytes }) => [name, state, lagBytes]);
const healthy = [
  ["node-1/primary", "ready", undefined],
  ["node-1/replica-1", "ready", 0],
];

test("a primary whose data is taken away is replaced by its replica, and a fresh replica follows", async () => {
  const [primary] = await supervised.nodes.status();
  expect(await findServerProcesses(await supervised.primaryDir())).not.toEqual([]);
  await loseDir(await supervised.primaryDir());
  await until(() => supervised.told.length === 1, { timeoutMs: 40_000, what: "the failover" });
  expect(supervised.told[0]).toMatchObject({
    node: "node-1",
    promoted: "replica-1",
    timeline: 2,
    setAside: null,
  });
  expect(supervised.nodes.failovers()).toEqual(supervised.told);
  await until(async () => JSON.stringify(await states()) === JSON.stringify(healthy), { timeoutMs: 40_000 });
  expect((await supervised.nodes.status())[0]?.port).toBe(primary?.port);
});

test("a failover is told with what is lost, as far as anybody knows, and where the old data lies", () => {
  const failover = {
    node: "node-1",
    atMs: Date.UTC(2026, 0, 2),
    promoted: "replica-1",
    timeline: 2,
    fork: "0/3000148",
    lastSeen: "0/3000148",
    setAside: null,
  };
  expect(failoverNotice(failover)).toBe(
    "node-1 failed over to replica-1 at 2026-01-02T00:00:00.000Z, timeline 2. Lost: nothing that was seen; the log beyond 0/3000148, if there was any. The old data was gone",
  );
  expect(failoverNotice({ ...failover, lastSeen: null })).toContain("Lost: the log beyond 0/3000148, if");
});
