/** Histories judged while shards move: what one session sees, what is linearizable, what commits, and money. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestPostgres, type TestPostgres } from "../postgres.ts";
import { banks } from "./banks.ts";
import { whileMoving } from "./moves.ts";
import { registers } from "./registers.ts";
import { runRecorded } from "./run-recorded.ts";
import { sessions } from "./sessions.ts";
import { postgresTarget } from "./target.ts";
import type { Workload } from "./workload.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2, replicas: 1 });
});
afterAll(() => postgres?.stop());

const promises: Readonly<Record<string, () => Workload>> = {
  "a session reads its writes, and goes back behind nothing that it has seen": () => sessions(),
  "strong reads and writes of one key are linearizable": () => registers(),
  "no bank loses or makes money, nor do all of them together": () => banks(),
};

for (const [promise, workload] of Object.entries(promises)) {
  test(`${promise}, while shards move`, { timeout: 120_000 }, async () => {
    const moving = whileMoving({
      workload: workload(),
      target: (through) => postgresTarget({ postgres, through }),
      seed: 1,
    });
    const run = await runRecorded({
      workload: moving.workload,
      target: moving.target,
      seed: 1,
      processes: 2,
      operations: 60,
      operationMs: 10_000,
    });
    expect(run.problems).toEqual([]);
    expect(moving.moves.kept).toBeGreaterThan(0);
    expect(moving.moves.failed).toBe(0);
  });
}
