/** What `checkFile` runs in a thread: read, look whether the model fits, judge. */
import { parentPort, workerData } from "node:worker_threads";
import type { CheckBudget } from "./budget.ts";
import type { Checker } from "./checker.ts";
import { refuseMisfits } from "./fits.ts";
import type { HistoryEvent } from "./history/event.ts";
import type { HistoryFormat } from "./history/format.ts";
import { type HistoryProblem, HistoryUnreadableError } from "./history/history-error.ts";
import { readOperations } from "./history/read-history.ts";
import { findChecker } from "./registry.ts";
import type { CheckResult } from "./verdict.ts";

export interface CheckFileOrder {
  readonly path: string;
  readonly model: string;
  readonly format?: HistoryFormat;
  readonly consistency?: string;
  readonly budget?: CheckBudget;
}

export type CheckFileReport =
  | { readonly kind: "step"; readonly text: string }
  | { readonly kind: "unreadable"; readonly source: string; readonly problems: readonly HistoryProblem[] }
  | { readonly kind: "done"; readonly result: CheckResult; readonly faults: readonly HistoryEvent[] };

const tell = (report: CheckFileReport) => parentPort?.postMessage(report);
const faultsMax = 1_000;

async function run({ path, model, format, consistency, budget }: CheckFileOrder): Promise<void> {
  const checker = findChecker(model) as Checker;
  try {
    const { operations, faults } = await readOperations(path, {
      ...(format ? { format } : {}),
      goOnAfterInfo: checker.goOnAfterInfo === true,
      onProgress: (events) =>
        tell({ kind: "step", text: `Reading: ${events.toLocaleString("en-US")} events` }),
    });
    refuseMisfits(checker, operations, path);
    const count = operations.length.toLocaleString("en-US");
    tell({ kind: "step", text: `Judging ${count} operations by ${model}` });
    const result = checker.check(operations, {
      ...(consistency === undefined ? {} : { consistency }),
      ...(budget ? { budget } : {}),
    });
    tell({ kind: "done", result, faults: faults.slice(0, faultsMax) });
  } catch (error) {
    if (!(error instanceof HistoryUnreadableError)) throw error;
    tell({ kind: "unreadable", ...error.data });
  }
}

await run(workerData as CheckFileOrder);
