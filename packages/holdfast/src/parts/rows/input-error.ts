/** What is wrong with a caller's values: all of it in one error. */
import { HoldfastError } from "../../call/index.ts";

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID when there is any problem */
export function refuseInput(what: string, problems: readonly string[]): void {
  if (problems.length === 0) return;
  throw new HoldfastError("HOLDFAST_INPUT_INVALID", `${what}: ${problems.join("; ")}.`, {
    data: { problems },
  });
}

/** @returns what is wrong with a whole number that should lie within bounds, beginning with `field` */
export function wholeProblems(field: string, value: unknown, min: number, max: number): string[] {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return [];
  return [`${field} should be a whole number from ${min} to ${max}, got ${String(value)}`];
}
