/**
 * Where things stand in a timeline. Time runs to the right, but not to scale: each begin and each end is a step, as
 * wide as the labels need, because what matters is what came before what.
 */
import type { Witness } from "../verdict.ts";

export const laneHeight = 92;
export const barHeight = 34;
export const laneLabelWidth = 120;
const topMargin = 34;
const stepWidthMin = 30;
/** A picture of few steps spreads over the page, so that its arrows do not crowd. */
const spreadWidth = 780;
const charWidth = 7.9;
const barPadding = 22;
const labelCharsMax = 46;

export interface Bar {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly label: string;
  /** Whether it never ended. */
  readonly open: boolean;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  /** One for each operation of the witness. */
  readonly bars: readonly Bar[];
  readonly lanes: readonly { readonly name: string; readonly y: number }[];
  /** Where a moment stands; before the first and after the last it stands at the edge. */
  x(timeNs: number): number;
  readonly startNs: number;
  readonly endNs: number;
}

export function layoutOf({ operations }: Witness): Layout {
  const processes = [...new Set(operations.map(({ process }) => process))];
  const moments = [
    ...new Set(
      operations.flatMap(({ startNs, endNs }) => (endNs === undefined ? [startNs] : [startNs, endNs])),
    ),
  ].sort((a, b) => a - b);
  const steps = new Map(moments.map((moment, step) => [moment, step]));
  const labels = operations.map(({ label }) => shortened(label));
  const widths = labels.map((label) => label.length * charWidth + barPadding);
  const stepWidth = Math.max(stepWidthMin, Math.min(150, spreadWidth / moments.length));
  const xs: number[] = [];
  moments.forEach((moment, step) => {
    let x = step === 0 ? laneLabelWidth + 16 : (xs[step - 1] as number) + stepWidth;
    operations.forEach(({ startNs, endNs }, at) => {
      if (endNs === moment && startNs !== moment)
        x = Math.max(x, (xs[steps.get(startNs) as number] as number) + (widths[at] as number));
    });
    xs.push(x);
  });
  const stepX = (moment: number) => xs[steps.get(moment) as number] as number;
  const lastX = (xs.at(-1) ?? laneLabelWidth) + stepWidth;
  const right = operations.reduce(
    (edge, { startNs, endNs }, at) =>
      endNs === undefined || endNs === startNs
        ? Math.max(edge, stepX(startNs) + (widths[at] as number) + 20)
        : edge,
    lastX,
  );
  const y = (process: number | string) =>
    topMargin + processes.indexOf(process) * laneHeight + (laneHeight - barHeight) / 2;
  const bars = operations.map(({ process, startNs, endNs }, at): Bar => {
    const x = stepX(startNs);
    const end =
      endNs === undefined
        ? right
        : Math.max(stepX(endNs), endNs === startNs ? x + (widths[at] as number) : x);
    return { x, y: y(process), width: end - x, label: labels[at] as string, open: endNs === undefined };
  });
  const startNs = moments[0] ?? 0;
  const endNs = moments.at(-1) ?? 0;
  const x = (timeNs: number): number => {
    if (timeNs <= startNs) return laneLabelWidth;
    if (timeNs >= endNs) return right;
    const after = moments.findIndex((moment) => moment >= timeNs);
    const [from, to] = [moments[after - 1] as number, moments[after] as number];
    return stepX(from) + ((timeNs - from) / (to - from)) * (stepX(to) - stepX(from));
  };
  const lanes = processes.map((process) => ({
    name: typeof process === "number" ? `process ${process}` : process,
    y: y(process),
  }));
  return {
    width: right + 16,
    height: topMargin + processes.length * laneHeight + 12,
    bars,
    lanes,
    x,
    startNs,
    endNs,
  };
}

function shortened(label: string): string {
  const chars = [...label];
  return chars.length > labelCharsMax ? `${chars.slice(0, labelCharsMax - 1).join("")}…` : label;
}
