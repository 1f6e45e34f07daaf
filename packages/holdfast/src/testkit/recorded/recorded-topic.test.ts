/** A topic and its worker on real Postgres, recorded while the primary crashes and stands still. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestPostgres, type TestPostgres } from "../postgres.ts";
import type { PostgresMember } from "../postgres-member.ts";
import { faultRounds } from "./fault-rounds.ts";
import { crash, pause } from "./postgres-faults.ts";
import { published } from "./published.ts";
import { runRecorded } from "./run-recorded.ts";
import { postgresTarget } from "./target.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres?.stop());

test("acknowledged messages have their effect once and in order, whatever happens to the servers", async () => {
  const [primary] = postgres.members as [PostgresMember];
  const run = await runRecorded({
    workload: published(),
    target: postgresTarget({ postgres }),
    processes: 2,
    seed: 1,
    operationMs: 10_000, // the last read waits for the worker
    faults: faultRounds({ faults: [crash(primary), pause(primary)], rounds: 4 }),
  });
  expect(run.problems).toEqual([]);
  expect(run.counts.publish?.ok).toBeGreaterThan(100);
});

test("a worker without a guard counts a batch twice, and is found out", async () => {
  const run = await runRecorded({
    workload: published({ unguarded: true }),
    target: postgresTarget({ postgres }),
    seed: 2,
    operations: 30,
    operationMs: 10_000,
  });
  expect(run.verdict).toBe("illegal");
  expect(run.results[0]?.witnesses[0]?.anomaly).toBe("duplicate");
});
