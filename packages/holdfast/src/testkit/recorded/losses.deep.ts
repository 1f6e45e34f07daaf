/**
 * Failovers that lose something, on purpose: the replica is dead while clients write, then the primary is lost and
 * the replica promoted. Asynchronous: every loss is told. Synchronous: there is none.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { FaultRun } from "../../faults/index.ts";
import { startTestPostgres, type TestPostgres } from "../postgres.ts";
import { until } from "../wait.ts";
import { failovers } from "./failovers.ts";
import { losses } from "./losses.ts";
import { runRecorded } from "./run-recorded.ts";
import { postgresTarget } from "./target.ts";
import type { Workload } from "./workload.ts";

let postgres: TestPostgres;
let historyDir: string;
beforeAll(async () => {
  historyDir = await mkdtemp(join(tmpdir(), "holdfast-losses-"));
  postgres = await startTestPostgres({ replicas: 1 });
});
afterAll(async () => {
  await postgres?.stop();
  await rm(historyDir, { recursive: true, force: true });
});

/** The replica is dead while clients begin `writes` more; then the primary is lost, and the replica comes back alone. */
const behind = (begun: () => number, writes: number): FaultRun => ({
  async run(note) {
    const [node] = postgres.nodes;
    const replica = postgres.members.find(({ role }) => role === "replica");
    await postgres.caughtUp(); // it has the tables
    await replica?.kill();
    note("kill", replica?.name);
    const before = begun();
    await until(() => begun() >= before + writes, { what: "writes that no replica has" });
    await node?.killPrimary();
    await node?.restartServer(0);
    return [{ fault: "a replica that is away", effect: `for ${writes} writes`, undone: true }];
  },
});
const counted = (workload: Workload): { readonly workload: Workload; readonly begun: () => number } => {
  let begun = 0;
  const perform: Workload["perform"] = (operation, client) => {
    begun++;
    return workload.perform(operation, client);
  };
  return { workload: { ...workload, perform }, begun: () => begun };
};
const run = async (made: Workload, writes: number) => {
  const { workload, begun } = counted(made);
  return runRecorded({
    workload,
    target: postgresTarget({ postgres }),
    seed: 1,
    operations: 40,
    operationMs: 5_000,
    healMs: 40_000,
    historyDir,
    faults: failovers(postgres.nodes, behind(begun, writes)),
  });
};

test("asynchronous: acknowledged writes are lost, and every one of them is told", {
  timeout: 90_000,
}, async () => {
  const recorded = await run(losses(), 100);
  expect(recorded.problems).toEqual([]);
  expect(recorded.results[0]?.notes?.[0]).toMatch(/^[1-9]\d* acknowledged writes were lost$/);
});

test("asynchronous, in sessions that are forgotten: the check finds losses that nobody was told of", {
  timeout: 90_000,
}, async () => {
  const recorded = await run(losses({ forgetful: true }), 100);
  expect(recorded.verdict).toBe("illegal");
  expect(recorded.results[0]?.witnesses[0]?.anomaly).toBe("lost-in-silence");
});

test("synchronous: nothing that was acknowledged is lost", {
  timeout: 90_000,
}, async () => {
  // Nothing is acknowledged while the replica is away: only what is begun counts.
  const recorded = await run(losses({ replication: { mode: "synchronous", onReplicaLoss: "stall" } }), 5);
  expect(recorded.problems).toEqual([]);
  expect(recorded.results[0]?.notes).toEqual(["0 acknowledged writes were lost"]);
});
