/** The cache over the bus, two processes, recorded while the servers behind it crash, stand still and lag. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestPostgres, type TestPostgres } from "../postgres.ts";
import type { PostgresMember } from "../postgres-member.ts";
import { cached } from "./cached.ts";
import { faultRounds } from "./fault-rounds.ts";
import { crash, lag, pause } from "./postgres-faults.ts";
import { runRecorded } from "./run-recorded.ts";
import { postgresTarget } from "./target.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres({ replicas: 1 });
});
afterAll(() => postgres?.stop());

test("what was invalidated is not answered after the bound, whatever happens to the servers", async () => {
  const [primary] = postgres.members as [PostgresMember];
  const run = await runRecorded({
    workload: cached({ busBoundMs: 300 }),
    target: postgresTarget({ postgres }),
    processes: 2,
    seed: 1,
    // Longer than the bound: while the bus is away nothing old may be trusted.
    faults: faultRounds({ faults: [pause(primary), crash(primary), lag(postgres, 0, 0)], lastsMs: 700 }),
  });
  expect(run.problems).toEqual([]);
  expect(run.counts.read?.ok).toBeGreaterThan(100);
  expect(run.counts.write?.ok).toBeGreaterThan(20);
});

test("a write that forgets to invalidate is found out", async () => {
  const run = await runRecorded({
    workload: cached({ busBoundMs: 200, forgetful: true }),
    target: postgresTarget({ postgres }),
    processes: 2,
    seed: 2,
    pauseMs: 10,
  });
  expect(run.verdict).toBe("illegal");
  expect(run.results[0]?.witnesses[0]?.summary).toMatch(/saw version \d+, \d+ ms after version \d+ had been/);
});
