/** The plan for a terminal: colours where they help, the last column wrapped to the width. */
import { styleText } from "node:util";
import type { Plan } from "../plan.ts";
import { planSections, type Row, type Section, verdict } from "./sections.ts";

export interface TextOptions {
  readonly color: boolean;
  /** Columns of the terminal. Default 120. */
  readonly columns?: number;
  /** Sections beside those of the plan, told after the findings. */
  readonly more?: readonly Section[];
}

type Style = Parameters<typeof styleText>[0];

const tones: Readonly<Record<NonNullable<Row["tone"]>, Style>> = {
  critical: "red",
  warning: "yellow",
  note: "cyan",
  good: "green",
};
const gap = "  ";

export function planLines(plan: Plan, { color, columns = 120, more = [] }: TextOptions): string[] {
  const paint = (style: Style, text: string) =>
    color ? styleText(style, text, { validateStream: false }) : text;
  const sections = planSections(plan);
  const [first, rest] = [sections.slice(0, 1), sections.slice(1)];
  const scope = [
    `in scope: ${plan.scope.in.join(", ")}`,
    ...(plan.scope.out.length > 0 ? [`out of scope: ${plan.scope.out.join(", ")}`] : []),
  ];
  return [
    `${paint("bold", plan.name)}${plan.summary ? `: ${plan.summary}` : ""}${plan.scale === 1 ? "" : `, at ${plan.scale} times the load`}`,
    ...scope.map((line) => paint("gray", line)),
    paint("gray", `capacities: ${plan.capacity.title}`),
    verdict(plan),
    ...[...first, ...more, ...rest].flatMap((section) => sectionLines(section, columns, paint)),
  ];
}

function sectionLines(
  { title, note, heads, rows }: Section,
  columns: number,
  paint: (style: Style, text: string) => string,
): string[] {
  const used = heads.map((head, column) => head !== "" || rows.some(({ cells }) => cells[column] !== ""));
  const widths = heads.map((head, column) =>
    used[column] ? Math.max(head.length, ...rows.map(({ cells }) => longest(cells[column] ?? ""))) : 0,
  );
  // Columns that are texts share what the narrow ones leave.
  const limits = fit(widths, Math.max(60, columns));
  const line = (cells: readonly string[], tone: Row["tone"]) => {
    const wrapped = cells.map((cell, column) => wrap(cell, limits[column] ?? 0));
    const height = Math.max(...wrapped.map(({ length }) => length));
    return Array.from({ length: height }, (_, at) =>
      wrapped
        .map((lines, column) => {
          const padded = (lines[at] ?? "").padEnd(limits[column] ?? 0);
          return tone && column === 0 ? paint(tones[tone], padded) : padded;
        })
        .filter((_, column) => used[column])
        .join(gap)
        .trimEnd(),
    );
  };
  return [
    "",
    paint("bold", title),
    ...(note === undefined ? [] : wrap(note, columns).map((text) => paint("gray", text))),
    ...line(heads, undefined).map((text) => paint("gray", text)),
    ...rows.flatMap(({ cells, tone }) => line(cells, tone)),
  ];
}

function longest(text: string): number {
  return Math.max(...text.split("\n").map(({ length }) => length));
}

/** Widths that go together into `columns`: the widest columns give way first, evenly. */
function fit(widths: readonly number[], columns: number): number[] {
  const room = columns - gap.length * (widths.length - 1);
  const fitted = [...widths];
  for (let over = fitted.reduce((sum, width) => sum + width, 0) - room; over > 0; ) {
    const widest = Math.max(...fitted);
    if (widest <= 8) break;
    const second = Math.max(8, ...fitted.filter((width) => width < widest));
    const which = fitted.flatMap((width, column) => (width === widest ? [column] : []));
    const take = Math.min(widest - second, Math.ceil(over / which.length));
    for (const column of which) fitted[column] = widest - Math.max(1, take);
    over -= which.length * Math.max(1, take);
  }
  return fitted;
}

function wrap(text: string, width: number): string[] {
  if (width <= 0) return [""];
  if (text.length <= width && !text.includes("\n")) return [text];
  return text.split("\n").flatMap((paragraph) => {
    const lines: string[] = [];
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line !== "" && line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else line = line === "" ? word : `${line} ${word}`;
    }
    return [...lines, line];
  });
}
