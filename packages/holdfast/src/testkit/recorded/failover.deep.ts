/**
 * Synchronous databases on two nodes while primaries and replicas are killed, paused, cut off and, at the end of each
 * round, lost and replaced, drawn from seeds: registers are linearizable, list-append transactions are what they ask
 * for, and money that moves across nodes is all or nothing while its coordinators die at each step. Deep: minutes.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import type { DatabaseConfig } from "../../engines/postgres/config.ts";
import { type FaultPlan, faultRun, type Whom } from "../../faults/index.ts";
import { startTestPostgres, type TestPostgres } from "../postgres.ts";
import { type PostgresFaultTarget, postgresFaultTarget } from "../postgres-fault-target.ts";
import { appends } from "./appends.ts";
import { bank } from "./bank.ts";
import { failovers } from "./failovers.ts";
import { doomedCoordinators } from "./fixtures/doomed-coordinators.ts";
import { registers } from "./registers.ts";
import { runRecorded } from "./run-recorded.ts";
import { postgresTarget } from "./target.ts";
import type { Workload } from "./workload.ts";

const servers = (name: string): Whom[] =>
  ["node-1", "node-2"].map((node) => ({ instance: `${node}/${name}` }));
const links = servers("primary").map(
  (to): Whom => ({ link: { from: { instance: "clients" }, to: to as { instance: string } } }),
);
const plan: FaultPlan = {
  lastsMs: 10_000,
  drawn: {
    forMs: { min: 300, max: 1_000 },
    restMs: { min: 200, max: 600 },
    faults: [
      { fault: { kind: "kill" }, on: [...servers("primary"), ...servers("replica-1")], weight: 3 },
      { fault: { kind: "pause" }, on: [...servers("primary"), ...servers("replica-1")], weight: 2 },
      { fault: { kind: "partition" }, on: links, weight: 2 },
      { fault: { kind: "reset", afterBytes: 4_000 }, on: links, weight: 2 },
      { fault: { kind: "latency", delayMs: 20, jitterMs: 15 }, on: links },
    ],
  },
};
const replication = { mode: "synchronous", onReplicaLoss: "stall" } as const;

let postgres: TestPostgres;
let faulty: PostgresFaultTarget;
let config: DatabaseConfig | undefined;
beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2, replicas: 1, settings: { deadlock_timeout: "50ms" } });
  faulty = await postgresFaultTarget(postgres);
});
afterAll(async () => {
  await faulty?.close();
  await postgres?.stop();
});

const workloads: Readonly<Record<string, () => Workload>> = {
  "registers are linearizable": () => registers({ replication }),
  "transactions are read committed": () => appends({ replication }),
  "transactions that ask for it are serializable": () => appends({ isolation: "serializable", replication }),
  "transfers across nodes are all or nothing": () =>
    bank({ background: doomedCoordinators(() => config as DatabaseConfig).run }),
};

for (const seed of [21, 22]) {
  for (const [promise, workload] of Object.entries(workloads)) {
    test(`${promise} (seed ${seed})`, { timeout: 240_000 }, async () => {
      const run = await runRecorded({
        workload: workload(),
        target: postgresTarget({
          postgres,
          through: (direct) => {
            config = faulty.through(direct);
            return config;
          },
        }),
        seed,
        processes: 2,
        operationMs: 6_000,
        healMs: 60_000,
        faults: failovers(postgres.nodes, faultRun({ plan, target: faulty.target, clock: systemClock })),
      });
      expect(run.problems).toEqual([]);
      expect(Object.values(run.counts).reduce((sum, { ok }) => sum + ok, 0)).toBeGreaterThan(100);
    });
  }
}
