/** The plan for a terminal: the worst first, then the figures with their arithmetic. */
import { styleText } from "node:util";
import type { Estimate } from "../estimate/sheet.ts";
import { formatInterval } from "../format.ts";
import type { Plan } from "../plan.ts";

export interface TextOptions {
  readonly color: boolean;
}

type Style = Parameters<typeof styleText>[0];

export function planLines(plan: Plan, { color }: TextOptions): string[] {
  const paint = (style: Style, text: string) =>
    color ? styleText(style, text, { validateStream: false }) : text;
  const heading = (text: string) => ["", paint("bold", text)];
  return [
    `${paint("bold", plan.name)}${plan.summary ? `: ${plan.summary}` : ""}`,
    ...estimateGroups(plan.estimates).flatMap(([group, estimates]) => [
      ...heading(group),
      ...estimateLines(estimates),
    ]),
    ...heading("assumed"),
    ...plan.assumptions.map(({ text, source }) => `  ${text} ${paint("gray", `(${source})`)}`),
  ];
}

export function estimateGroups(
  estimates: readonly Estimate[],
): readonly (readonly [string, readonly Estimate[]])[] {
  const groups = new Map<string, Estimate[]>();
  for (const estimate of estimates) {
    const group = groups.get(estimate.group) ?? [];
    group.push(estimate);
    groups.set(estimate.group, group);
  }
  return [...groups];
}

function estimateLines(estimates: readonly Estimate[]): string[] {
  const rows = estimates.map((estimate) => [
    estimate.title,
    formatInterval(estimate, estimate.unit),
    estimate.how,
  ]);
  const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  const [title, value] = [width(0), width(1)];
  return rows.map(
    ([name = "", figure = "", how = ""]) => `  ${name.padEnd(title)}  ${figure.padEnd(value)}  = ${how}`,
  );
}
