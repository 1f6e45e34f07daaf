/**
 * A plan as the faults of a recorded run: the harness brings the seed and writes down what it is told.
 *
 *   await runRecorded({ workload, target, seed: 7, faults: faultRun({ plan, target: faultTarget, clock }) });
 */

import { faultText } from "../plan/fault.ts";
import type { FaultPlan } from "../plan/plan.ts";
import { schedule } from "../plan/schedule.ts";
import type { FaultReport } from "./report.ts";
import { type RunFaultsOptions, runFaults } from "./run-faults.ts";

export interface FaultRunOptions extends Omit<RunFaultsOptions, "timeline" | "note"> {
  readonly plan: FaultPlan;
  /** Given the whole report when the run is over. */
  readonly report?: (report: FaultReport) => void;
}

export interface FaultRun {
  run(
    note: (f: string, value: unknown) => void,
    seed: number,
  ): Promise<readonly { readonly fault: string; readonly effect?: string; readonly undone: boolean }[]>;
}

export function faultRun({ plan, report, ...options }: FaultRunOptions): FaultRun {
  return {
    async run(note, seed) {
      const done = await runFaults({
        ...options,
        timeline: schedule(seed, plan),
        note: ({ f, value }) => note(f, value),
      });
      report?.(done);
      return done.faults.map(({ fault, on, effect, undone }) => ({
        fault: `${faultText(fault)} on ${on}`,
        ...(effect === undefined ? {} : { effect }),
        undone,
      }));
    },
  };
}
