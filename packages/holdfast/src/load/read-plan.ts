/** Finds and loads the plan of a system: `load.ts` beside its `system.ts`. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { HoldfastError } from "../call/index.ts";
import { isLoadPlan, type LoadPlan } from "./plan.ts";

/** @throws {HoldfastError} HOLDFAST_SYSTEM_INVALID when there is none, or the file is broken */
export async function readLoadPlan(systemFile: string): Promise<LoadPlan> {
  const folder = dirname(systemFile);
  const file = ["load.ts", "load.js"].map((name) => join(folder, name)).find((path) => existsSync(path));
  if (!file) {
    throw invalid(
      `${folder} has no load.ts. Write one: \`export default loadPlan({ mix: [ … ] })\` from "holdfast/load".`,
    );
  }
  let module: { readonly default?: unknown };
  try {
    module = await import(pathToFileURL(file).href);
  } catch (error) {
    if (error instanceof HoldfastError) throw error;
    throw invalid(`${file} cannot be loaded: ${error instanceof Error ? error.message : error}`, error);
  }
  if (!isLoadPlan(module.default)) {
    throw invalid(`${file} exports no load plan: write \`export default loadPlan({ mix: [ … ] })\`.`);
  }
  return module.default;
}

function invalid(message: string, cause?: unknown): HoldfastError {
  return new HoldfastError("HOLDFAST_SYSTEM_INVALID", message, cause === undefined ? {} : { cause });
}
