/** Histories judged while shards move and servers crash, stand still and come back; and without faults, for longer. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { type FaultPlan, faultRun } from "../../faults/index.ts";
import { startTestPostgres, type TestPostgres } from "../postgres.ts";
import { type PostgresFaultTarget, postgresFaultTarget } from "../postgres-fault-target.ts";
import { appends } from "./appends.ts";
import { banks } from "./banks.ts";
import { whileMoving } from "./moves.ts";
import { registers } from "./registers.ts";
import { runRecorded } from "./run-recorded.ts";
import { sessions } from "./sessions.ts";
import { postgresTarget } from "./target.ts";
import type { Workload } from "./workload.ts";

let postgres: TestPostgres;
let faulty: PostgresFaultTarget;
beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2, replicas: 1 });
  faulty = await postgresFaultTarget(postgres);
});
afterAll(async () => {
  await faulty?.close();
  await postgres?.stop();
});

const on = (instance: string) => ({ instance });
const plan: FaultPlan = {
  lastsMs: 16_000,
  steps: [
    { fault: { kind: "kill" }, on: on("node-1/primary"), atMs: 1_000, forMs: 400 },
    { fault: { kind: "pause" }, on: on("node-2/primary"), atMs: 4_000, forMs: 400 },
    { fault: { kind: "replica-lag" }, on: on("node-2/replica-1"), atMs: 6_500, forMs: 800 },
    { fault: { kind: "kill" }, on: on("node-2/primary"), atMs: 9_500, forMs: 400 },
    { fault: { kind: "kill" }, on: on("node-1/replica-1"), atMs: 12_000, forMs: 400 },
    { fault: { kind: "pause" }, on: on("node-1/primary"), atMs: 14_000, forMs: 400 },
  ],
};

const promises: Readonly<Record<string, () => Workload>> = {
  "sessions read their writes, and go back behind nothing": () => sessions(),
  "strong reads, writes and compare-and-set are linearizable": () => registers(),
  "transactions are read committed": () => appends(),
  "serializable transactions are": () => appends({ isolation: "serializable" }),
  "no money is lost or made": () => banks(),
};

for (const seed of [1, 2]) {
  for (const [promise, workload] of Object.entries(promises)) {
    for (const faults of [false, true]) {
      const meanwhile = faults ? "move and servers crash" : "move";
      test(`${promise}, while shards ${meanwhile} (seed ${seed})`, { timeout: 240_000 }, async () => {
        const moving = whileMoving({
          workload: workload(),
          // Clients go through the proxies; whoever moves shards, and the servers among themselves, do not.
          target: (seen) => postgresTarget({ postgres, through: (config) => faulty.through(seen(config)) }),
          seed,
        });
        const run = await runRecorded({
          workload: moving.workload,
          target: moving.target,
          seed,
          processes: 2,
          operations: faults ? 100 : 400,
          operationMs: 15_000,
          ...(faults && { faults: faultRun({ plan, target: faulty.target, clock: systemClock }) }),
        });
        expect(run.problems).toEqual([]);
        expect(moving.moves.kept).toBeGreaterThan(0);
      });
    }
  }
}
