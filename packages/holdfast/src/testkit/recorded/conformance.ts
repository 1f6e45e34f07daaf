/**
 * The promises of the parts, judged from recorded histories: the suite that every engine passes on real servers,
 * without faults and with them.
 *
 *   recordedSuite({ name: "postgres", seeds: [1], plan, open: async () => ({ target, faultTarget, close }) });
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { type FaultPlan, type FaultTarget, faultRun } from "../../faults/index.ts";
import { appends } from "./appends.ts";
import { cached } from "./cached.ts";
import { deliveries } from "./deliveries.ts";
import { registers } from "./registers.ts";
import { type RecordedRun, type RunRecordedOptions, runRecorded } from "./run-recorded.ts";
import { sessions } from "./sessions.ts";
import type { Target } from "./target.ts";
import type { Workload } from "./workload.ts";

export interface RecordedSuiteOptions {
  /** Of the engine. */
  readonly name: string;
  readonly open: () => Promise<RecordedServers>;
  /** One run of each workload for each. */
  readonly seeds: readonly number[];
  /** What goes wrong in each run. Default: nothing. */
  readonly plan?: FaultPlan;
  /** What is judged elsewhere. */
  readonly leave?: readonly RecordedPromise[];
  readonly run?: Partial<Omit<RunRecordedOptions, "workload" | "target" | "seed" | "faults">>;
}

export interface RecordedServers {
  readonly target: Target;
  /** What the plan happens to. */
  readonly faultTarget: FaultTarget;
  close(): Promise<void>;
}

/** How long the bus may be silent before a cache stops trusting itself: shorter than a fault lasts. */
const busBoundMs = 200;

/** What each promise says, and who tries to break it. */
const promises = {
  "strong reads, writes and compare-and-set of one key are linearizable": () => registers(),
  "a session reads its writes, and goes back behind nothing that it has seen": () => sessions(),
  "transactions are read committed": () => appends(),
  "transactions that ask for it are serializable": () => appends({ isolation: "serializable" }),
  "what was invalidated is not answered by any process after the bound": () => cached({ busBoundMs }),
  "acknowledged messages have their effect once, and in order for each key": () => deliveries(),
} satisfies Readonly<Record<string, () => Workload>>;

export type RecordedPromise = keyof typeof promises;

export function recordedSuite(options: RecordedSuiteOptions): void {
  const { name, open, seeds, plan, leave = [], run = {} } = options;
  describe(`recorded on ${name}`, () => {
    let servers: RecordedServers;
    beforeAll(async () => {
      servers = await open();
    });
    afterAll(() => servers?.close());

    for (const seed of seeds) {
      for (const [promise, workload] of Object.entries(promises)) {
        if (leave.includes(promise as RecordedPromise)) continue;
        test(`${promise} (seed ${seed})`, { timeout: 180_000 }, async () => {
          const { target, faultTarget } = servers;
          const faults = plan && faultRun({ plan, target: faultTarget, clock: systemClock });
          const recorded = await runRecorded({
            workload: workload(),
            target,
            seed,
            processes: 2,
            operationMs: 10_000,
            ...(faults === undefined ? {} : { faults }),
            ...run,
          });
          expect(recorded.problems).toEqual([]);
          expect(successes(recorded)).toBeGreaterThan(100);
        });
      }
    }
  });
}

/** A history of failures would be right, and would say nothing. */
function successes({ counts }: RecordedRun): number {
  return Object.values(counts).reduce((sum, { ok }) => sum + ok, 0);
}
