/** Keeps what `holdfast load` measured: small enough to commit, and without what only this machine knows. */
import { writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { HoldfastError } from "../call/index.ts";
import type { LoadReport } from "../load/index.ts";
import type { Measured } from "../plan/index.ts";

/** @throws {HoldfastError} HOLDFAST_USAGE when the file cannot be written */
export function saveMeasured(file: string, report: LoadReport, command: string, note: string): void {
  const requests = Object.entries(report.latency.byRequest).map(([name, { count, mean, p50, p99 }]) => [
    name,
    { count, mean: rounded(mean), p50: rounded(p50), p99: rounded(p99) },
  ]);
  const measured: Measured = {
    command,
    machine: machineKind(),
    note,
    ratePerSecond: report.ratePerSecond,
    seconds: rounded(report.seconds),
    failed: report.failed + report.dropped,
    requests: Object.fromEntries(requests),
  };
  try {
    writeFileSync(file, `${JSON.stringify(measured, null, 2)}\n`);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new HoldfastError(
      "HOLDFAST_USAGE",
      `${file} cannot be written: ${why}. Name a file in a folder that exists.`,
    );
  }
}

/** The kind of machine, not which one: what makes figures comparable. */
function machineKind(): string {
  const gibibytes = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} cores, ${gibibytes} GiB, ${process.platform} ${process.arch}, Node ${process.versions.node.split(".").slice(0, 2).join(".")}`;
}

function rounded(ms: number): number {
  return Number(ms.toPrecision(4));
}
