/**
 * `service`: code that answers requests. Anything with a `fetch(request)` will do: a Hono app, a plain object.
 */
import { deadlineMsMax, refuseProblems } from "../../call/index.ts";
import { type AccessOptions, accessProblems } from "../access.ts";
import { namingProblem, type Part } from "../part.ts";

export interface FetchHandler {
  fetch(request: Request): Response | Promise<Response>;
  /**
   * Called once when the instance ends in order, after its last request was answered and before its databases
   * are closed: time to finish what was begun for requests that have their answer already. The instance ends
   * after `withinMs` milliseconds at the latest.
   */
  drain?(withinMs: number): void | Promise<void>;
}

export interface ServiceOptions {
  /** Loads the module whose default export has `fetch`. Only the process that runs the service calls it. */
  readonly load: () => Promise<{ readonly default: FetchHandler }>;
  /** Processes to run. Default 2; `max` is for the autoscaler that a later version brings. */
  readonly instances?: { readonly min?: number; readonly max?: number };
  /** Largest request body in bytes; more is answered 413. Default 1 MiB. */
  readonly maxBodyBytes?: number;
  /** Deadline of a request that brings none, in milliseconds. Default 10_000. */
  readonly timeoutMs?: number;
  /**
   * What it may do in each database of the system, by name: `{ links: "read-write", audit: "read" }`; one that is left
   * out may not even be connected to. Default: all of them, to read and write.
   */
  readonly access?: AccessOptions;
}

export interface ResolvedServiceOptions {
  readonly load: ServiceOptions["load"];
  readonly instances: { readonly min: number; readonly max: number };
  readonly maxBodyBytes: number;
  readonly timeoutMs: number;
  readonly access: AccessOptions | undefined;
}

export const serviceDefaults = { instancesMin: 2, maxBodyBytes: 1 << 20, timeoutMs: 10_000 } as const;

export interface Service extends Part {
  readonly kind: "service";
  readonly options: ResolvedServiceOptions;
}

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function service(name: string, options: ServiceOptions): Service {
  return { kind: "service", name, options: resolveServiceOptions(name, options) };
}

function resolveServiceOptions(name: string, options: ServiceOptions): ResolvedServiceOptions {
  const min = options.instances?.min ?? serviceDefaults.instancesMin;
  const resolved: ResolvedServiceOptions = {
    load: options.load,
    instances: { min, max: options.instances?.max ?? Math.max(min, serviceDefaults.instancesMin) },
    maxBodyBytes: options.maxBodyBytes ?? serviceDefaults.maxBodyBytes,
    timeoutMs: options.timeoutMs ?? serviceDefaults.timeoutMs,
    access: options.access,
  };
  const problems: string[] = [];
  const naming = namingProblem("service", name);
  if (naming) problems.push(naming);
  if (typeof options.load !== "function")
    problems.push('load should be a function such as () => import("./api.ts")');
  const { instances, maxBodyBytes, timeoutMs } = resolved;
  if (!(Number.isInteger(instances.min) && instances.min >= 1 && instances.min <= 64)) {
    problems.push(`instances.min should be a whole number from 1 to 64, got ${instances.min}`);
  }
  if (!(Number.isInteger(instances.max) && instances.max >= instances.min)) {
    problems.push(
      `instances.max should be a whole number of at least instances.min (${instances.min}), got ${instances.max}`,
    );
  }
  if (!(Number.isSafeInteger(maxBodyBytes) && maxBodyBytes >= 0)) {
    problems.push(`maxBodyBytes should be a whole number of 0 or more, got ${maxBodyBytes}`);
  }
  if (!(timeoutMs > 0 && timeoutMs <= deadlineMsMax)) {
    problems.push(`timeoutMs should be above 0 and at most ${deadlineMsMax}, got ${timeoutMs}`);
  }
  problems.push(...accessProblems(options.access));
  refuseProblems("HOLDFAST_OPTIONS_INVALID", `service "${name}"`, problems);
  return Object.freeze(resolved);
}
