/** The database part on real Postgres, recorded while its servers are crashed, paused and held back, and judged. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { findChecker } from "../../check/registry.ts";
import { startTestPostgres, type TestPostgres } from "../postgres.ts";
import type { PostgresMember } from "../postgres-member.ts";
import { faultRounds } from "./fault-rounds.ts";
import { crash, lag, pause } from "./postgres-faults.ts";
import { registers } from "./registers.ts";
import { runRecorded } from "./run-recorded.ts";
import { postgresTarget } from "./target.ts";
import type { RecordedChecker } from "./workload.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres({ replicas: 1, settings: { deadlock_timeout: "50ms" } });
});
afterAll(() => postgres?.stop());

function model(name: string): RecordedChecker {
  const checker = findChecker(name);
  if (!checker) throw new Error(`there is no model ${name}`);
  return checker;
}

test("strong reads and writes are linearizable while servers crash and stand still", async () => {
  const [primary, replica] = postgres.members as [PostgresMember, PostgresMember];
  const run = await runRecorded({
    workload: registers({ checkers: [model("cas-register")] }),
    target: postgresTarget({ postgres }),
    processes: 2,
    seed: 1,
    faults: faultRounds({ faults: [crash(primary), pause(primary), crash(replica), lag(postgres, 0, 0)] }),
  });
  expect(run.problems).toEqual([]);
  expect(run.faults).toHaveLength(4);
  expect(run.counts.write?.ok).toBeGreaterThan(100);
});

test("eventual reads are not linearizable, and the harness says so", async () => {
  const run = await runRecorded({
    workload: registers({ checkers: [model("cas-register")], level: "eventual" }),
    target: postgresTarget({ postgres }),
    seed: 2,
    faults: faultRounds({ faults: [lag(postgres, 0, 0)] }),
  });
  expect(run.verdict).toBe("illegal");
});
