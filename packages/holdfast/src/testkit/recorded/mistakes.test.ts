/** Mistakes that were made on purpose: a harness that cannot say no proves nothing. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestPostgres, type TestPostgres } from "../postgres.ts";
import { cached } from "./cached.ts";
import { faultRounds } from "./fault-rounds.ts";
import { lag } from "./postgres-faults.ts";
import { published } from "./published.ts";
import { registers } from "./registers.ts";
import { type RecordedRun, runRecorded } from "./run-recorded.ts";
import { sessions } from "./sessions.ts";
import { postgresTarget, type Target } from "./target.ts";

let postgres: TestPostgres;
let target: Target;
beforeAll(async () => {
  postgres = await startTestPostgres({ replicas: 1 });
  target = postgresTarget({ postgres });
});
afterAll(() => postgres?.stop());

test("reads of a replica that lags are not linearizable", async () => {
  const run = await runRecorded({
    workload: registers({ level: "eventual" }),
    target,
    seed: 1,
    faults: faultRounds({ faults: [lag(postgres, 0, 0)] }),
  });
  expect(run.verdict).toBe("illegal");
  expect(run.results[0]?.witnesses[0]?.anomaly).toBe("nonlinearizable");
});

test("a session that reads any replica loses its own writes", async () => {
  const run = await runRecorded({
    workload: sessions({ level: "eventual" }),
    target,
    seed: 1,
    faults: faultRounds({ faults: [lag(postgres, 0, 0)] }),
  });
  expect(run.verdict).toBe("illegal");
  expect(run.results[0]?.witnesses[0]?.anomaly).toBe("read-your-writes");
});

test("a write that forgets to invalidate leaves old answers behind", async () => {
  let run: RecordedRun | undefined;
  // On a busy machine the bus is late and nothing cached is trusted for a while: then nothing is wrong either.
  for (let seed = 1; run?.verdict !== "illegal" && seed <= 5; seed++) {
    const workload = cached({ busBoundMs: 500, forgetful: true });
    run = await runRecorded({ workload, target, processes: 2, seed, pauseMs: 10, operations: 200 });
  }
  expect(run?.verdict).toBe("illegal");
  expect(run?.results[0]?.witnesses[0]?.summary).toMatch(
    /saw version \d+, \d+ ms after version \d+ had been/,
  );
});

test("a worker without a guard counts a batch that comes again twice", async () => {
  const workload = published({ unguarded: true });
  const run = await runRecorded({ workload, target, seed: 3, operations: 30, operationMs: 10_000 });
  expect(run.verdict).toBe("illegal");
  expect(run.results[0]?.witnesses[0]?.anomaly).toBe("duplicate");
});
