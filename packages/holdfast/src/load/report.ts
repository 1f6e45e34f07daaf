/** A load report for people: a table of latencies, then what failed, then what to doubt. */
import type { LoadProgress } from "./progress.ts";
import type { LoadReport } from "./run-load.ts";
import type { Percentiles } from "./tally.ts";

export function progressLine({ seconds, ended, failed, dropped, inFlight, latency }: LoadProgress): string {
  const parts = [
    `${String(seconds).padStart(4)} s`,
    `${String(ended).padStart(6)}/s`,
    `p50 ${ms(latency.p50)}`,
    `p99 ${ms(latency.p99)}`,
    `max ${ms(latency.max)}`,
    `${inFlight} in flight`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(dropped > 0 ? [`${dropped} dropped by the client`] : []),
  ];
  return parts.join("  ");
}

export function reportLines(report: LoadReport): string[] {
  const { latency, lateness, failures } = report;
  const perSecond = report.seconds > 0 ? Math.round(report.succeeded / report.seconds) : 0;
  const lines = [
    `${report.url}: ${report.arrivals} arrivals in ${report.seconds.toFixed(1)} s (asked for ${report.ratePerSecond}/s, seed ${report.seed})`,
    `${report.succeeded} succeeded (${perSecond}/s), ${report.failed} failed, ${report.dropped} dropped by the client`,
    "",
    ...latencyTable([
      ...Object.entries(latency.byRequest),
      ["all that succeeded", latency.succeeded],
      ...(report.failed > 0 ? ([["all that ended", latency.ended]] as const) : []),
    ]),
    "Latency in milliseconds, from the intended arrival.",
  ];
  if (failures.length > 0) {
    lines.push("", "Failures, by outcome:");
    for (const { request, outcome, why, count } of failures)
      lines.push(`  ${String(count).padStart(7)}  ${outcome.padEnd(11)}  ${request}: ${why}`);
  }
  if (lateness.p99 > 20) {
    lines.push(
      "",
      `The client itself sent late (p99 ${ms(lateness.p99)}): its own delay is part of the latencies. Lower the rate, or use another machine.`,
    );
  }
  if (report.dropped > 0) {
    lines.push(
      "",
      `${report.dropped} arrivals were not sent because too many requests were waiting: the latencies look better than they were. Raise --max-in-flight, or lower the rate.`,
    );
  }
  return lines;
}

function latencyTable(rows: readonly (readonly [name: string, latency: Percentiles])[]): string[] {
  const heads = ["", "count", "mean", "p50", "p90", "p99", "p99.9", "max"];
  const cells = rows.map(([name, { count, mean, p50, p90, p99, p999, max }]) => [
    name,
    String(count),
    ...[mean, p50, p90, p99, p999, max].map((value) => value.toFixed(value < 10 ? 2 : 1)),
  ]);
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  return [heads, ...cells].map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}

function ms(value: number): string {
  return value >= 1_000 ? `${(value / 1_000).toFixed(2)} s` : `${value.toFixed(value < 10 ? 2 : 1)} ms`;
}
