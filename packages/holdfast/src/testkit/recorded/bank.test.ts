/**
 * Money that moves across nodes while coordinators are killed at each step, servers crash, stand still and are cut
 * off, and primaries are lost and replaced: nothing acknowledged is lost, nothing is kept by half.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import type { DatabaseConfig } from "../../engines/postgres/config.ts";
import { type FaultPlan, faultRun } from "../../faults/index.ts";
import { startTestPostgres, type TestPostgres } from "../postgres.ts";
import { type PostgresFaultTarget, postgresFaultTarget } from "../postgres-fault-target.ts";
import { bank } from "./bank.ts";
import { failovers } from "./failovers.ts";
import { doomedCoordinators } from "./fixtures/doomed-coordinators.ts";
import { type RecordedRun, runRecorded } from "./run-recorded.ts";
import { postgresTarget } from "./target.ts";

const primary = (node: string) => ({ instance: `${node}/primary` });
const linkTo = (node: string) => ({ link: { from: { instance: "clients" }, to: primary(node) } });
const plan: FaultPlan = {
  lastsMs: 3_000,
  steps: [
    { fault: { kind: "kill" }, on: primary("node-2"), atMs: 300, forMs: 300 },
    { fault: { kind: "pause" }, on: primary("node-1"), atMs: 1_000, forMs: 300 },
    { fault: { kind: "partition" }, on: linkTo("node-2"), atMs: 1_600, forMs: 300 },
    { fault: { kind: "reset", afterBytes: 3_000 }, on: linkTo("node-1"), atMs: 2_200, forMs: 400 },
  ],
};

let postgres: TestPostgres;
let faulty: PostgresFaultTarget;
let historyDir: string;
beforeAll(async () => {
  historyDir = await mkdtemp(join(tmpdir(), "holdfast-bank-"));
  postgres = await startTestPostgres({ nodes: 2, replicas: 1, settings: { deadlock_timeout: "50ms" } });
  faulty = await postgresFaultTarget(postgres);
});
afterAll(async () => {
  await faulty?.close();
  await postgres?.stop();
  await rm(historyDir, { recursive: true, force: true });
});

test("transfers across nodes are all or nothing, and none that was acknowledged is lost", {
  timeout: 120_000,
}, async () => {
  let config: DatabaseConfig | undefined;
  const target = postgresTarget({
    postgres,
    through: (direct) => {
      config = faulty.through(direct);
      return config;
    },
  });
  const doomed = doomedCoordinators(() => config as DatabaseConfig);
  const run = await runRecorded({
    workload: bank({ background: doomed.run }),
    target,
    seed: 1,
    processes: 2,
    operations: 15,
    operationMs: 8_000,
    healMs: 40_000,
    historyDir,
    faults: failovers(postgres.nodes, faultRun({ plan, target: faulty.target, clock: systemClock })),
  });
  expect(run.problems).toEqual([]);
  expect(run.counts.transfer?.ok).toBeGreaterThan(30);
  expect(run.counts.audit?.ok).toBeGreaterThan(10);
  expect(doomed.died.length).toBeGreaterThan(0);
});

test("halves that are written without a decision are found torn", { timeout: 120_000 }, async () => {
  let run: RecordedRun | undefined;
  // A fault has to fall between two halves: it nearly always does.
  for (let seed = 1; run?.verdict !== "illegal" && seed <= 5; seed++) {
    run = await runRecorded({
      workload: bank({ careless: true }),
      target: postgresTarget({ postgres, through: faulty.through }),
      seed,
      operations: 30,
      operationMs: 1_000,
      pauseMs: 0,
      historyDir,
      faults: faultRun({
        plan: {
          lastsMs: 1_500,
          steps: [200, 800].map((atMs) => ({
            fault: { kind: "kill" } as const,
            on: primary("node-2"),
            atMs,
            forMs: 300,
          })),
        },
        target: faulty.target,
        clock: systemClock,
      }),
    });
  }
  expect(run?.verdict).toBe("illegal");
  const anomalies = run?.results.flatMap(({ witnesses }) => witnesses.map(({ anomaly }) => anomaly));
  expect(anomalies).toContain("torn");
});
