/** A profile as a file: written whole or not at all, and believed only after it was looked through. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { HoldfastError } from "../../call/index.ts";
import { type MachineProfile, profileUnits } from "./profile.ts";

export function writeProfile(file: string, profile: MachineProfile): void {
  const unfinished = `${file}.${process.pid}.tmp`;
  writeFileSync(unfinished, `${JSON.stringify(profile, null, 2)}\n`);
  renameSync(unfinished, file);
}

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID with every problem at once, also when there is no such file */
export function readProfile(file: string): MachineProfile {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw invalid(file, [`cannot be read: ${(error as Error).message}`], error);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(file, [`is no JSON: ${(error as Error).message}`], error);
  }
  const problems = profileProblems(value);
  if (problems.length > 0) throw invalid(file, problems);
  return value as MachineProfile;
}

/** Everything that keeps a value from being a profile. */
export function profileProblems(value: unknown): readonly string[] {
  if (!isObject(value)) return [`should be an object, got ${shown(value)}`];
  if (value.format !== 1) return [`format should be 1, got ${shown(value.format)}`];
  const problems: string[] = [];
  if (typeof value.takenAt !== "string" || !/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value.takenAt))
    problems.push(`takenAt should be a time such as 2026-01-31T12:00:00.000Z, got ${shown(value.takenAt)}`);
  problems.push(...machineProblems(value.machine));
  if (!Array.isArray(value.figures) || value.figures.length === 0)
    return [...problems, `figures should be a list of at least one, got ${shown(value.figures)}`];
  const ids = new Set<unknown>();
  for (const [index, figure] of value.figures.entries()) {
    problems.push(...figureProblems(`figures[${index}]`, figure));
    const id = isObject(figure) ? figure.id : undefined;
    if (id !== undefined && ids.has(id)) problems.push(`figures[${index}].id ${shown(id)} is there twice`);
    ids.add(id);
  }
  return problems;
}

function machineProblems(machine: unknown): string[] {
  if (!isObject(machine)) return [`machine should be an object, got ${shown(machine)}`];
  const problems: string[] = [];
  for (const field of ["processor", "platform", "node"])
    if (typeof machine[field] !== "string")
      problems.push(`machine.${field} should be a text, got ${shown(machine[field])}`);
  for (const field of ["cores", "memoryBytes"])
    if (!isPositive(machine[field]))
      problems.push(`machine.${field} should be above 0, got ${shown(machine[field])}`);
  return problems;
}

function figureProblems(at: string, figure: unknown): string[] {
  if (!isObject(figure)) return [`${at} should be an object, got ${shown(figure)}`];
  const problems: string[] = [];
  for (const field of ["id", "title", "how"])
    if (typeof figure[field] !== "string" || figure[field] === "")
      problems.push(`${at}.${field} should be a text, got ${shown(figure[field])}`);
  if (!profileUnits.some((unit) => unit === figure.unit))
    problems.push(`${at}.unit should be one of ${profileUnits.join(", ")}, got ${shown(figure.unit)}`);
  const { low, median, high, rounds } = figure;
  if (!(isPositive(low) && isPositive(median) && isPositive(high) && low <= median && median <= high))
    problems.push(
      `${at} should have 0 < low ≤ median ≤ high, got ${shown(low)}, ${shown(median)}, ${shown(high)}`,
    );
  if (!(Number.isInteger(rounds) && (rounds as number) >= 1))
    problems.push(`${at}.rounds should be a whole number of 1 or more, got ${shown(rounds)}`);
  return problems;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isPositive(value: unknown): value is number {
  return typeof value === "number" && value > 0 && Number.isFinite(value);
}

function shown(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value).slice(0, 80);
}

function invalid(file: string, problems: readonly string[], cause?: unknown): HoldfastError {
  const list = problems.map((problem) => `\n  - ${problem}`).join("");
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `${file} is no profile of a machine. \`holdfast load --profile\` writes one.${list}`,
    { data: { file, problems }, ...(cause === undefined ? {} : { cause }) },
  );
}
