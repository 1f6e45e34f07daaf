/**
 * Which capacities a plan reckons with: the profile that is named; else, for a plan to look at, the one that
 * `holdfast load --profile` has left in the project; else the shipped table. What is written beside a design takes the
 * shipped table unless a profile is named, so that it is the same on every machine.
 */
import { existsSync } from "node:fs";
import { relative, resolve } from "node:path";
import { HoldfastError } from "../call/index.ts";
import { readProfile } from "../load/profile/index.ts";
import { type CapacityTable, shippedCapacities, withProfile } from "../plan/index.ts";
import { findProject } from "../runtime/project.ts";

export interface CapacityChoice {
  /** `--profile`, when it was given. */
  readonly named: string | undefined;
  /** Whether the plan is written down for others. */
  readonly written: boolean;
  readonly cwd: string;
}

/** @throws {HoldfastError} HOLDFAST_USAGE when the named file does not exist; HOLDFAST_INPUT_INVALID when it is no profile */
export function capacityTable({ named, written, cwd }: CapacityChoice): CapacityTable {
  if (named === undefined) {
    const { profile } = findProject(cwd);
    return written || !existsSync(profile) ? shippedCapacities : fromProfile(profile, cwd);
  }
  const file = resolve(cwd, named);
  if (existsSync(file)) return fromProfile(file, cwd);
  throw new HoldfastError(
    "HOLDFAST_USAGE",
    `There is no profile ${named}. \`holdfast load --profile\` measures this machine and writes .holdfast/profile.json.`,
  );
}

function fromProfile(file: string, cwd: string): CapacityTable {
  const profile = readProfile(file);
  try {
    return withProfile(shippedCapacities, profile);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new HoldfastError(
      "HOLDFAST_INPUT_INVALID",
      `${relative(cwd, file)} cannot be reckoned with: ${error.message}. Measure again with \`holdfast load --profile\`.`,
      { cause: error },
    );
  }
}
