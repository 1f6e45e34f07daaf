/**
 * Reads a history and judges it, in a thread of its own: whoever waits can show that something is happening, and a
 * history that needs more memory than there is ends the thread, not the program.
 */
import { statSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { type CheckBudget, checkBudgetDefaults } from "./budget.ts";
import type { CheckFileOrder, CheckFileReport } from "./check-file-worker.ts";
import type { HistoryEvent } from "./history/event.ts";
import type { HistoryFormat } from "./history/format.ts";
import { HistoryUnreadableError } from "./history/history-error.ts";
import type { CheckResult } from "./verdict.ts";

export interface CheckFileOptions {
  /** Name of the checker, as the registry has it. */
  readonly model: string;
  /** Default: recognised from the content. */
  readonly format?: HistoryFormat;
  /** Of checkers that list `consistency`: which of those models has to hold. */
  readonly consistency?: string;
  readonly budget?: CheckBudget;
  /** Told what is being done, such as "Read 250,000 events". */
  readonly onStep?: (text: string) => void;
  /** Gives up: the promise rejects with its reason. */
  readonly signal?: AbortSignal;
}

export interface CheckedFile {
  readonly result: CheckResult;
  /** What witnesses of faults said, such as `nemesis`. */
  readonly faults: readonly HistoryEvent[];
}

/** Megabytes that reading and the program itself may take, beside what the search keeps. */
const programMiB = 192;
/** A history in memory is about this many times as large as its file. */
const heapPerFileByte = 6;

/** @throws {HistoryUnreadableError} */
export async function checkFile(path: string, options: CheckFileOptions): Promise<CheckedFile> {
  const memoryBytes = options.budget?.memoryBytes ?? checkBudgetDefaults.memoryBytes;
  const heapMiB = programMiB + Math.ceil((memoryBytes + fileBytes(path) * heapPerFileByte) / 2 ** 20);
  const order: CheckFileOrder = {
    path,
    model: options.model,
    ...(options.format ? { format: options.format } : {}),
    ...(options.consistency === undefined ? {} : { consistency: options.consistency }),
    ...(options.budget ? { budget: options.budget } : {}),
  };
  const worker = new Worker(new URL(workerFile, import.meta.url), {
    workerData: order,
    resourceLimits: { maxOldGenerationSizeMb: heapMiB },
  });
  const stop = () => void worker.terminate();
  options.signal?.addEventListener("abort", stop, { once: true });
  try {
    return await new Promise<CheckedFile>((resolve, reject) => {
      worker.on("message", (report: CheckFileReport) => {
        if (report.kind === "step") options.onStep?.(report.text);
        else if (report.kind === "unreadable")
          reject(new HistoryUnreadableError(report.source, report.problems));
        else resolve({ result: report.result, faults: report.faults });
      });
      worker.on("error", (error) => {
        if ((error as NodeJS.ErrnoException).code !== "ERR_WORKER_OUT_OF_MEMORY") reject(error);
        else {
          const reason = `the history and the search need more memory than there is: ${heapMiB} MiB, of which memoryBytes ${memoryBytes} for the search`;
          resolve({
            result: { verdict: "unknown", model: options.model, reason, witnesses: [], operations: 0 },
            faults: [],
          });
        }
      });
      worker.on("exit", () =>
        reject(options.signal?.reason ?? new Error("the thread ended without a verdict")),
      );
    });
  } finally {
    options.signal?.removeEventListener("abort", stop);
    await worker.terminate();
  }
}

/** The repository runs the TypeScript source as it is; the published package has it compiled. */
const workerFile = import.meta.url.endsWith(".ts") ? "./check-file-worker.ts" : "./check-file-worker.js";

function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
