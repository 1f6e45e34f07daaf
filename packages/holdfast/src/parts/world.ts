/**
 * A world: where a system runs, and what each of its parts is bound to there.
 *
 * The current world is the one that the running code was started in (`inWorld`), else the process's default
 * (`installWorld`). Two worlds in one process share nothing.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { HoldfastError, Seam } from "../call/index.ts";
import type { Clock } from "../clock/index.ts";
import type { Bindable, Part } from "./part.ts";

export class World {
  readonly name: string;
  readonly clock: Clock;
  readonly seam: Seam;
  readonly #ports = new Map<Part, unknown>();

  constructor(name: string, clock: Clock) {
    this.name = name;
    this.clock = clock;
    this.seam = new Seam(clock);
  }

  bind<Port>(part: Bindable<Port>, port: Port): void {
    this.#ports.set(part, port);
  }

  has(part: Part): boolean {
    return this.#ports.has(part);
  }

  port<Port>(part: Bindable<Port>): Port {
    const port = this.#ports.get(part);
    if (port === undefined) throw unbound(part, `the world "${this.name}" has no engine for it`);
    return port as Port;
  }
}

const worlds = new AsyncLocalStorage<World>();
let defaultWorld: World | undefined;

/** Makes `world` the process's default; `undefined` removes it. Processes that run one part call it once. */
export function installWorld(world: World | undefined): void {
  defaultWorld = world;
}

/** Runs `run` in `world`, whatever the process's default is. */
export function inWorld<T>(world: World, run: () => T): T {
  return worlds.run(world, run);
}

/** @throws {HoldfastError} HOLDFAST_UNBOUND when the running code is in no world */
export function currentWorld(user?: Part): World {
  const world = worlds.getStore() ?? defaultWorld;
  if (!world) throw unbound(user, "this code runs outside a world");
  return world;
}

/** The engine behind `part` in the current world. */
export function boundPort<Port>(part: Bindable<Port>): Port {
  return currentWorld(part).port(part);
}

function unbound(part: Part | undefined, why: string): HoldfastError {
  const what = part ? `${part.kind} "${part.name}"` : "A part";
  return new HoldfastError(
    "HOLDFAST_UNBOUND",
    `${what} was used, but ${why}. Run the system with \`holdfast up\`, or use the part inside \`inWorld\`; the part must be exported by the system's parts module.`,
    { data: part ? { kind: part.kind, part: part.name } : {} },
  );
}
