/** Messages on their way to workers that are killed and stand still beyond their leases: one short run of each kind. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestPostgres, type TestPostgres } from "../postgres.ts";
import { deliveries } from "./deliveries.ts";
import { deliveryKindNames } from "./kinds/index.ts";
import { runRecorded } from "./run-recorded.ts";
import { postgresTarget } from "./target.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres?.stop());

for (const kind of deliveryKindNames) {
  test(`${kind}: acknowledged messages have their effect once and in order, whoever dies`, {
    timeout: 240_000,
  }, async () => {
    const workload = deliveries({
      kind,
      workers: "killed",
      members: 3,
      leaseMs: 1_000,
      workMs: 15,
      poisonEvery: 30,
    });
    const run = await runRecorded({
      workload,
      target: postgresTarget({ postgres }),
      seed: 1,
      clients: 4,
      operations: 20,
      pauseMs: 500,
      operationMs: 20_000,
      healMs: 120_000,
    });
    expect(run.problems).toEqual([]);
    expect(workload.done.kills).toBeGreaterThan(0);
    expect(workload.done.pauses).toBeGreaterThan(0);
    expect(run.counts.attempt?.ok).toBeGreaterThan(0);
  });
}
