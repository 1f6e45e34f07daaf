/** A profile for people: the machine, then a table of its figures. */
import type { MachineProfile, ProfileFigure, ProfileUnit } from "./profile.ts";

export function profileLines({ machine, takenAt, figures }: MachineProfile): string[] {
  const heads = ["", "median", "low", "high", ""];
  const cells = figures.map(({ title, median, low, high, unit }) => [
    title,
    ...[median, low, high].map((value) => number(value, unit)),
    unitName(unit),
  ]);
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const numeric = (column: number) => column >= 1 && column <= 3;
  const table = [heads, ...cells].map((row) =>
    row
      .map((cell, column) =>
        numeric(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
  const gib = (machine.memoryBytes / 2 ** 30).toFixed(1);
  return [
    `${machine.cores} × ${machine.processor}, ${gib} GiB, ${machine.platform}, Node ${machine.node}, ${takenAt}`,
    "",
    ...table,
    "",
    "Services and gateways by the processor time of their process; Postgres and topics durable, with their client on",
    "the same machine. `--json` says how each was measured.",
    ...doubts(figures),
  ];
}

/** Rounds that differ this much were disturbed: the median is still good, the bounds say how far it went. */
const spreadMax = 2;

function doubts(figures: readonly ProfileFigure[]): string[] {
  const wide = figures.filter(({ low, high }) => high > low * spreadMax);
  if (wide.length === 0) return [];
  return [
    "",
    `The rounds of ${wide.map(({ id }) => id).join(", ")} differ more than twofold: something else was busy. Measure again when the machine is quiet.`,
  ];
}

function number(value: number, unit: ProfileUnit): string {
  if (unit === "B" || unit === "B/s") return (value / 1e6).toFixed(value < 1e7 ? 1 : 0);
  if (unit === "ms") return value < 0.01 ? value.toFixed(5) : value.toFixed(value < 1 ? 3 : 2);
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

function unitName(unit: ProfileUnit): string {
  if (unit === "B") return "MB";
  if (unit === "B/s") return "MB/s";
  return unit === "count" ? "" : unit;
}
