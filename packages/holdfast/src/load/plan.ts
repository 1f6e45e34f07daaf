/**
 * A load plan: what a system's users do, in which proportions. A system keeps its own in `load.ts`:
 *
 *   export default loadPlan({
 *     setup: async ({ send }) => ({ codes: await createLinks(send, 1_000) }),
 *     mix: [
 *       { name: "redirect", weight: 95, request: ({ state, zipf }) => ({ path: `/${state.codes[zipf(1_000)]}` }) },
 *       { name: "create", weight: 5, request: ({ random }) => ({ method: "POST", path: "/links", json: … }) },
 *     ],
 *   });
 */
import { refuseProblems } from "../call/index.ts";
import type { Random } from "../clock/index.ts";

export interface RequestSpec {
  /** Default GET, or POST when there is a body. */
  readonly method?: string;
  /** From the first slash on, with the query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is. */
  readonly body?: string;
  /** Sent as JSON, with its content type. */
  readonly json?: unknown;
}

export interface LoadResponse {
  readonly status: number;
  /** Names in lower case; of a repeated header the values as a list. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** At most the first MiB. */
  readonly body: string;
}

export interface SetupContext {
  readonly baseUrl: string;
  readonly random: Random;
  /** Sends one request and waits for its answer. Redirects are not followed. */
  send(request: RequestSpec): Promise<LoadResponse>;
  readonly signal: AbortSignal;
}

export interface RequestContext<State> {
  readonly baseUrl: string;
  /** Seeded: the same seed asks the same. */
  readonly random: Random;
  /** A rank from 0 (the most asked for) to `count - 1`. Exponent 1 unless given. */
  zipf(count: number, exponent?: number): number;
  /** What `setup` answered. Requests and expectations may change it. */
  readonly state: State;
  /** Number of the arrival, from 0. */
  readonly sequence: number;
}

export interface LoadRequest<State> {
  readonly name: string;
  /** Its share: this weight among the sum of all. */
  readonly weight: number;
  /** What to send. Called when the request arrives; if it waits for something, that counts as latency. */
  request(context: RequestContext<State>): RequestSpec | Promise<RequestSpec>;
  /**
   * Whether the answer is as it should be; a text says what is wrong. Default: any status below 400.
   * With it, a 4xx that was expected is a success.
   */
  expect?(response: LoadResponse, context: RequestContext<State>): boolean | string;
}

export interface LoadPlanOptions<State> {
  /** Seed of everything that is drawn. Default 1. */
  readonly seed?: number;
  /** Requests a second when the command says nothing. Default 200. */
  readonly ratePerSecond?: number;
  /** Prepares what the requests need, before the first arrival. */
  readonly setup?: (context: SetupContext) => Promise<State>;
  readonly mix: readonly LoadRequest<State>[];
}

export interface LoadPlan<State = unknown> {
  readonly kind: "load-plan";
  readonly seed: number;
  readonly ratePerSecond: number;
  readonly setup: (context: SetupContext) => Promise<State>;
  readonly mix: readonly LoadRequest<State>[];
}

export const loadPlanDefaults = { seed: 1, ratePerSecond: 200 } as const;

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function loadPlan<State = undefined>(options: LoadPlanOptions<State>): LoadPlan<State> {
  const { seed = loadPlanDefaults.seed, ratePerSecond = loadPlanDefaults.ratePerSecond, mix } = options;
  const problems: string[] = [];
  if (!Number.isSafeInteger(seed)) problems.push(`seed should be a whole number, got ${seed}`);
  if (!(ratePerSecond > 0 && Number.isFinite(ratePerSecond)))
    problems.push(`ratePerSecond should be positive, got ${ratePerSecond}`);
  if (!(Array.isArray(mix) && mix.length > 0)) problems.push("mix should have at least one request");
  const names = new Set<string>();
  for (const { name, weight, request } of mix ?? []) {
    if (typeof name !== "string" || name === "") problems.push("each request of the mix needs a name");
    if (names.has(name)) problems.push(`two requests are called "${name}": rename one`);
    names.add(name);
    if (!(weight > 0 && Number.isFinite(weight)))
      problems.push(`weight of "${name}" should be positive, got ${weight}`);
    if (typeof request !== "function")
      problems.push(`"${name}" needs request: a function that answers { path }`);
  }
  refuseProblems("HOLDFAST_OPTIONS_INVALID", "load plan", problems);
  const setup = options.setup ?? (async () => undefined as State);
  return Object.freeze({ kind: "load-plan", seed, ratePerSecond, setup, mix });
}

export function isLoadPlan(value: unknown): value is LoadPlan {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "load-plan";
}
