/**
 * Messages on their way to workers, in whatever way they go, while everything goes wrong that can: workers are killed
 * and stand still beyond their leases, servers restart and fail over, shards move, backends are ended, pools are empty,
 * connections are reset at random, and the primary's disk is full. Deep: minutes.
 */
import { afterEach, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { type FaultPlan, type FaultRun, faultRun, type Whom } from "../../faults/index.ts";
import { startTestPostgres, type TestPostgres, type TestPostgresOptions } from "../postgres.ts";
import { type PostgresFaultTarget, postgresFaultTarget } from "../postgres-fault-target.ts";
import { type DeliveriesOptions, deliveries } from "./deliveries.ts";
import { failovers } from "./failovers.ts";
import { deliveryKindNames } from "./kinds/index.ts";
import { whileMoving } from "./moves.ts";
import { type RunRecordedOptions, runRecorded } from "./run-recorded.ts";
import { killedBackends, startedAfter } from "./server-faults.ts";
import { type PostgresTargetOptions, postgresTarget } from "./target.ts";

const seeds = [31, 32];

interface Servers {
  readonly postgres: TestPostgres;
  readonly faulty: PostgresFaultTarget;
}

interface Scenario {
  readonly servers?: TestPostgresOptions;
  readonly workload?: DeliveriesOptions;
  readonly target?: Partial<PostgresTargetOptions>;
  readonly faults?: (servers: Servers) => FaultRun;
  readonly moves?: boolean;
  readonly run?: Partial<RunRecordedOptions>;
}

const primary: Whom = { instance: "node-1/primary" };
const link: Whom = { link: { from: { instance: "clients" }, to: { instance: "node-1/primary" } } };
const planned =
  (plan: FaultPlan) =>
  ({ faulty }: Servers) =>
    faultRun({ plan, target: faulty.target, clock: systemClock });
const again = (fault: FaultPlan["steps"], times: number, everyMs: number) =>
  Array.from({ length: times }, (_, round) =>
    (fault ?? []).map((step) => ({ ...step, atMs: step.atMs + round * everyMs })),
  ).flat();

const scenarios: Readonly<Record<string, Scenario>> = {
  "workers are killed and paused all the time": { run: { operations: 400, pauseMs: 60 } },
  "clocks of workers jump by hours, both ways": { workload: { wrongClocks: true }, run: { operations: 300 } },
  "the primary is killed and started again": {
    faults: planned({
      lastsMs: 12_000,
      steps: again([{ fault: { kind: "kill" }, on: primary, atMs: 500, forMs: 500 }], 4, 3_000),
    }),
  },
  "the primary is lost, and a replica promoted": {
    servers: { replicas: 1 },
    workload: { synchronous: true },
    faults: ({ postgres }) => failovers(postgres.nodes),
  },
  "shards move": { servers: { nodes: 2 }, workload: { nodes: 2 }, moves: true },
  "backends are ended": { faults: ({ postgres }) => killedBackends(postgres, { lastsMs: 10_000 }) },
  "pools are empty, and the server too": {
    servers: { settings: { max_connections: "40" } },
    workload: { members: 2 },
    target: { poolSize: 2 },
    faults: planned({
      lastsMs: 10_000,
      steps: again(
        [{ fault: { kind: "connection-storm", connections: 60 }, on: primary, atMs: 500, forMs: 1_500 }],
        3,
        3_000,
      ),
    }),
  },
  "five in a hundred pieces reset their connection": {
    faults: planned({
      lastsMs: 12_000,
      steps: [{ fault: { kind: "reset", share: 0.05 }, on: link, atMs: 500, forMs: 10_000 }],
    }),
  },
  "the primary's disk is full": {
    servers: { diskBytes: 700 << 20 },
    faults: (servers) =>
      startedAfter(
        planned({
          lastsMs: 8_000,
          steps: again([{ fault: { kind: "disk-full" }, on: primary, atMs: 500, forMs: 3_000 }], 1, 0),
        })(servers),
        servers.postgres,
      ),
  },
};

let servers: Servers | undefined;
afterEach(async () => {
  await servers?.faulty.close();
  await servers?.postgres.stop();
  servers = undefined;
});

for (const kind of deliveryKindNames) {
  for (const [name, scenario] of Object.entries(scenarios)) {
    for (const seed of seeds) {
      test(`${kind}: ${name} (seed ${seed})`, { timeout: 300_000 }, async () => {
        const postgres = await startTestPostgres(scenario.servers);
        const faulty = await postgresFaultTarget(postgres);
        servers = { postgres, faulty };
        const workload = deliveries({
          ...{ kind, workers: "killed", members: 3, leaseMs: 1_000, workMs: 10, poisonEvery: 100 },
          ...scenario.workload,
        });
        const options = { postgres, ...scenario.target };
        const moving = scenario.moves
          ? whileMoving({
              workload,
              target: (seen) =>
                postgresTarget({ ...options, through: (config) => faulty.through(seen(config)) }),
              seed,
            })
          : undefined;
        const run = await runRecorded({
          workload: moving?.workload ?? workload,
          target: moving?.target ?? postgresTarget({ ...options, through: faulty.through }),
          seed,
          processes: 2,
          operations: 150,
          pauseMs: 30,
          operationMs: 10_000,
          healMs: 120_000,
          ...(scenario.faults ? { faults: scenario.faults(servers) } : {}),
          ...scenario.run,
        });
        expect(run.problems).toEqual([]);
        expect(run.counts.publish?.ok).toBeGreaterThan(100);
        expect(run.counts.attempt?.ok).toBeGreaterThan(0);
        expect(workload.done.kills).toBeGreaterThan(0);
        if (moving) expect(moving.moves.kept).toBeGreaterThan(0);
      });
    }
  }
}
