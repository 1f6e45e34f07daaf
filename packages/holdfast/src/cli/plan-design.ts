/** Finds and loads what `holdfast plan` is asked about: a system with requirements, or requirements alone. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { HoldfastError } from "../call/index.ts";
import { isSystem } from "../parts/index.ts";
import {
  declaredParts,
  isRequirements,
  type Measured,
  measuredProblems,
  type ResolvedRequirements,
  readRequirements,
} from "../plan/index.ts";
import { loadDefault } from "../runtime/load-system.ts";

/** The system of a folder, or its requirements when it has no system. @throws {HoldfastError} HOLDFAST_USAGE */
export function findDesignFile(target: string, cwd: string): string {
  const path = resolve(cwd, target);
  if (!existsSync(path)) throw noDesign(`${target} does not exist`);
  if (statSync(path).isFile()) return path;
  for (const stem of ["system", "requirements"]) {
    for (const extension of ["ts", "js", "mjs"]) {
      const file = join(path, `${stem}.${extension}`);
      if (existsSync(file)) return file;
    }
  }
  throw noDesign(`${basename(path)}/ has no system.ts and no requirements.ts`);
}

function noDesign(why: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_USAGE",
    `Nothing to plan: ${why}. Name a system's folder, or a file whose default export is \`system(…)\` or \`requirements(…)\`; \`holdfast plan --new\` writes one.`,
  );
}

/** @throws {HoldfastError} HOLDFAST_REQUIREMENTS_INVALID with every problem at once; HOLDFAST_USAGE when there are none */
export async function loadDesign(file: string): Promise<ResolvedRequirements> {
  const exported = await loadDefault(file);
  if (isRequirements(exported)) return readRequirements(exported, { name: basename(dirname(file)) });
  if (!isSystem(exported)) {
    throw new HoldfastError(
      "HOLDFAST_USAGE",
      `${file} exports neither a system nor requirements: write \`export default requirements({ … })\`, with \`requirements\` from "holdfast/plan".`,
    );
  }
  if (!exported.requirements) {
    throw new HoldfastError(
      "HOLDFAST_USAGE",
      `System "${exported.name}" says nothing of what is required of it: write system("${exported.name}", { …, requirements: { operations: { … } } }). docs/planning.md has the fields.`,
    );
  }
  return readRequirements(exported.requirements, {
    name: exported.name,
    declared: declaredParts(exported),
  });
}

/** What `holdfast load --save` has kept beside the design, if anything. @throws {HoldfastError} HOLDFAST_INPUT_INVALID */
export function readMeasured(designFile: string): Measured | undefined {
  const file = join(dirname(designFile), "measured.json");
  if (!existsSync(file)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw unreadable(file, [error instanceof Error ? error.message : String(error)], error);
  }
  const problems = measuredProblems(value);
  if (problems.length > 0) throw unreadable(file, problems);
  return value as Measured;
}

function unreadable(file: string, problems: readonly string[], cause?: unknown): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `${file} is not what \`holdfast load --save ${file}\` writes: ${problems.join("; ")}. Measure it anew, or remove it.`,
    { data: { file, problems }, cause },
  );
}
