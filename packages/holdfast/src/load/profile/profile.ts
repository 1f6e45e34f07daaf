/**
 * A profile: what this machine was measured to do, for a plan to reckon with. Figures carry the ids of the planner's
 * capacities, so that a plan says of each whether it was measured or came with a table.
 */
export interface MachineProfile {
  readonly format: 1;
  /** When it was taken, as ISO 8601. */
  readonly takenAt: string;
  readonly machine: ProfiledMachine;
  readonly figures: readonly ProfileFigure[];
}

export interface ProfiledMachine {
  /** Logical processors, and what they call themselves. */
  readonly cores: number;
  readonly processor: string;
  readonly memoryBytes: number;
  /** Such as `linux-x64`. */
  readonly platform: string;
  /** Version of Node.js, such as `v24.21.0`. */
  readonly node: string;
}

export type ProfileUnit = "/s" | "ms" | "B" | "B/s" | "count";

export interface ProfileFigure {
  /** Such as `database.reads`. */
  readonly id: string;
  readonly title: string;
  readonly unit: ProfileUnit;
  /** The lowest, the middle and the highest of the rounds. */
  readonly low: number;
  readonly median: number;
  readonly high: number;
  readonly rounds: number;
  /** How it was measured. */
  readonly how: string;
}

export const profileUnits = ["/s", "ms", "B", "B/s", "count"] as const satisfies readonly ProfileUnit[];

/** One figure from the values of its rounds, at least one of them. */
export function figureOf(
  about: Pick<ProfileFigure, "id" | "title" | "unit" | "how">,
  rounds: readonly number[],
): ProfileFigure {
  const sorted = [...rounds].sort((a, b) => a - b);
  const at = (index: number) => sorted[index] as number;
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2;
  return { ...about, low: at(0), median, high: at(sorted.length - 1), rounds: sorted.length };
}
