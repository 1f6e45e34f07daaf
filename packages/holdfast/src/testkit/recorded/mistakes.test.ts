/** Mistakes that were made on purpose: a harness that cannot say no proves nothing. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { type FaultRun, faultRun } from "../../faults/index.ts";
import { startTestPostgres, type TestPostgres } from "../postgres.ts";
import { type PostgresFaultTarget, postgresFaultTarget } from "../postgres-fault-target.ts";
import { appends } from "./appends.ts";
import { cached } from "./cached.ts";
import { deliveries } from "./deliveries.ts";
import { registers } from "./registers.ts";
import { type RecordedRun, runRecorded } from "./run-recorded.ts";
import { sessions } from "./sessions.ts";
import { postgresTarget, type Target } from "./target.ts";
import { checkersNamed } from "./workload.ts";

let historyDir: string;
let postgres: TestPostgres;
let target: Target;
let faulty: PostgresFaultTarget;
let lagging: FaultRun;
beforeAll(async () => {
  historyDir = await mkdtemp(join(tmpdir(), "holdfast-mistakes-"));
  postgres = await startTestPostgres({ replicas: 1, settings: { deadlock_timeout: "50ms" } });
  target = postgresTarget({ postgres });
  faulty = await postgresFaultTarget(postgres);
  const lag = { fault: { kind: "replica-lag" }, on: { role: "replica" }, atMs: 200, forMs: 500 } as const;
  lagging = faultRun({ plan: { lastsMs: 1_000, steps: [lag] }, target: faulty.target, clock: systemClock });
});
afterAll(async () => {
  await faulty?.close();
  await postgres?.stop();
  await rm(historyDir, { recursive: true, force: true });
});

test("reads of a replica that lags are not linearizable", async () => {
  const run = await runRecorded({
    workload: registers({ level: "eventual" }),
    target,
    historyDir,
    seed: 1,
    operations: 40,
    faults: lagging,
  });
  expect(run.verdict).toBe("illegal");
  expect(run.results[0]?.witnesses[0]?.anomaly).toBe("nonlinearizable");
});

test("a session that reads any replica loses its own writes", async () => {
  const run = await runRecorded({
    workload: sessions({ level: "eventual" }),
    target,
    historyDir,
    seed: 1,
    operations: 40,
    faults: lagging,
  });
  expect(run.verdict).toBe("illegal");
  expect(run.results[0]?.witnesses[0]?.anomaly).toBe("read-your-writes");
});

test("transactions that only read what is committed are not serializable", async () => {
  const workload = appends({ isolation: "read committed", checkers: checkersNamed("serializable") });
  const run = await runRecorded({ workload, target, historyDir, seed: 1, pauseMs: 0, operations: 50 });
  expect(run.verdict).toBe("illegal");
});

test("a write that forgets to invalidate leaves old answers behind", async () => {
  let run: RecordedRun | undefined;
  // On a busy machine the bus is late and nothing cached is trusted for a while: then nothing is wrong either.
  for (let seed = 1; run?.verdict !== "illegal" && seed <= 5; seed++) {
    const workload = cached({ busBoundMs: 500, forgetful: true });
    run = await runRecorded({
      workload,
      target,
      historyDir,
      processes: 2,
      seed,
      pauseMs: 10,
      operations: 200,
    });
  }
  expect(run?.verdict).toBe("illegal");
  expect(run?.results[0]?.witnesses[0]?.summary).toMatch(
    /saw version \d+, \d+ ms after version \d+ had been/,
  );
});

test("a worker without a guard counts a batch that comes again twice", async () => {
  const workload = deliveries({ unguarded: true });
  const run = await runRecorded({
    workload,
    target,
    historyDir,
    seed: 3,
    operations: 30,
    operationMs: 10_000,
  });
  expect(run.verdict).toBe("illegal");
  expect(run.results[0]?.witnesses[0]?.anomaly).toBe("effect-twice");
});
