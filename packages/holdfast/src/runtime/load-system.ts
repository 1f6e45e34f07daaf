/**
 * Loading what the user wrote: the system, and the module of each part. A module that is broken is told by
 * its own file, with the reason that Node gave; a module that lacks what its part needs, by what to export.
 */
import { fileURLToPath, pathToFileURL } from "node:url";
import { HoldfastError, refuseProblems } from "../call/index.ts";
import {
  type AnyWorker,
  type BatchHandler,
  type FetchHandler,
  isSystem,
  type JobHandler,
  type Service,
  type System,
} from "../parts/index.ts";

/** @throws {HoldfastError} HOLDFAST_SYSTEM_INVALID when the file cannot be loaded or exports no system */
export async function loadSystem(systemFile: string): Promise<System> {
  const exported = await loadDefault(systemFile);
  if (isSystem(exported)) return exported;
  throw new HoldfastError(
    "HOLDFAST_SYSTEM_INVALID",
    `${systemFile} exports no system: write \`export default system("name", { parts, edge })\`.`,
  );
}

/** The default export of a user's file. @throws {HoldfastError} HOLDFAST_SYSTEM_INVALID when it cannot be loaded */
export async function loadDefault(file: string): Promise<unknown> {
  try {
    return ((await import(pathToFileURL(file).href)) as { readonly default?: unknown }).default;
  } catch (error) {
    if (error instanceof HoldfastError) throw error;
    throw new HoldfastError("HOLDFAST_SYSTEM_INVALID", `${file} cannot be loaded: ${loadFailure(error)}`, {
      cause: error,
    });
  }
}

/** @throws {HoldfastError} HOLDFAST_SYSTEM_INVALID when the module is broken or has no `fetch` */
export async function loadService(service: Service): Promise<FetchHandler> {
  const handler = (await loadModule(service)) as Partial<FetchHandler> | undefined;
  if (typeof handler?.fetch === "function") return handler as FetchHandler;
  throw invalid(
    service,
    "its module's default export has no fetch(request): export a Hono app, or { fetch }",
  );
}

/** @throws {HoldfastError} HOLDFAST_SYSTEM_INVALID when the module is broken or exports no function */
export async function loadWorker(worker: AnyWorker): Promise<BatchHandler<never> & JobHandler<never>> {
  const handler = await loadModule(worker);
  if (typeof handler === "function") return handler as BatchHandler<never> & JobHandler<never>;
  const takes = worker.options.from.kind === "queue" ? "job" : "batch";
  throw invalid(
    worker,
    `its module's default export is no function: export default async (${takes}) => { … }`,
  );
}

/** Loads the module of every part. @throws {HoldfastError} HOLDFAST_SYSTEM_INVALID with every problem at once */
export async function checkModules(system: System): Promise<void> {
  const problems: string[] = [];
  const collect = (error: unknown) => {
    problems.push(error instanceof HoldfastError ? error.message : loadFailure(error));
  };
  // One after another: modules that share a broken import then report it in a stable order.
  for (const service of system.services) await loadService(service).catch(collect);
  for (const worker of system.workers) await loadWorker(worker).catch(collect);
  refuseProblems("HOLDFAST_SYSTEM_INVALID", `system "${system.name}"`, problems);
}

async function loadModule(part: Service | AnyWorker): Promise<unknown> {
  try {
    return (await part.options.load()).default;
  } catch (error) {
    throw invalid(part, `its module cannot be loaded: ${loadFailure(error)}`, error);
  }
}

function invalid(part: Service | AnyWorker, problem: string, cause?: unknown): HoldfastError {
  return new HoldfastError("HOLDFAST_SYSTEM_INVALID", `${part.kind} "${part.name}": ${problem}`, { cause });
}

/**
 * What a failed import says, with the place: a syntax error has it in the first lines of its stack
 * (`file:///…/api.ts:3`), anything thrown while the module ran in the first frame outside Node.
 */
function loadFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const stack = error.stack ?? "";
  const [first = ""] = stack.split("\n");
  const at = /^(file:\/\/\S+|\/\S+):(\d+)$/.exec(first) ?? /\(?(file:\/\/[^)\s]+?):(\d+):\d+\)?/.exec(stack);
  const place = at?.[1] ? ` (${at[1].startsWith("file:") ? fileURLToPath(at[1]) : at[1]}:${at[2]})` : "";
  return `${error.name}: ${error.message}${place}`;
}
