/**
 * The processes of a system's parts, while it runs: every instance of every service, worker and gateway, and
 * the board that tells the gateway where the services are.
 */
import { HoldfastError } from "../call/index.ts";
import type { Clock } from "../clock/index.ts";
import { type Child, type ChildExit, type ChildOptions, inheritedFd, startChild } from "./child.ts";
import type { SystemDescription } from "./describe.ts";
import { endpointBoard } from "./endpoint-board.ts";
import { entryFile } from "./entry.ts";
import { Instance } from "./instance.ts";
import type { LogFiles } from "./log-files.ts";
import type { Endpoint, Endpoints, FromChild, WorldConfig } from "./messages.ts";
import type { Project } from "./project.ts";
import type { Reporter } from "./reporter.ts";
import type { PartInstanceStatus } from "./status.ts";
import { type WarningBoard, warningText } from "./warning-board.ts";

export interface RunningPartsOptions {
  readonly project: Project;
  readonly systemFile: string;
  readonly description: SystemDescription;
  /** How a part's instances see the system: with the rights of that part. */
  readonly worldOf: (part: string) => WorldConfig;
  readonly clock: Clock;
  readonly reporter: Reporter;
  readonly logs: LogFiles;
  /** What the gateway seals session tokens with, in base64url. */
  readonly sessionSecret: string;
  /** The gateway's socket, bound. */
  readonly socketFd: number | undefined;
  /** Told the ids of all child processes whenever they change. */
  readonly recordChildren: (pids: readonly number[]) => void;
  /** Where processes put what they warn of. */
  readonly warnings: WarningBoard;
}

type Kind = PartInstanceStatus["kind"];

export interface Place {
  readonly kind: Kind;
  readonly part: string;
  readonly instance: Instance;
  /** Files of the project that its current process has loaded. */
  readonly files: ReadonlySet<string>;
}

type MutablePlace = Place & { readonly files: Set<string> };

/** How a process of a place is started. */
type PlaceStart = Pick<ChildOptions, "entry" | "start" | "inherit">;

export interface RunningParts {
  readonly places: readonly Place[];
  /**
   * Starts services and workers, then the gateway: it listens only when there is somebody to ask.
   *
   * @throws {Error} with the last words of the first process that did not become ready
   */
  begin(): Promise<void>;
  /** Starts the process that sends gentle traffic through the gateway. */
  startTraffic(url: string): Promise<void>;
  status(): PartInstanceStatus[];
  /** Has every process tell again what is still to be warned of. */
  warnAgain(): void;
  /** Drains the gateway, then the services, each for what is left of the time; the workers meanwhile. */
  stop(drainMs: () => number): Promise<void>;
}

export function startInstances(options: RunningPartsOptions): RunningParts {
  const { clock, reporter, logs, description } = options;
  const board = endpointBoard(clock);
  const children = new Set<Child>();
  const places: MutablePlace[] = [];

  const publish = () => {
    const endpoints: Record<string, Endpoint[]> = {};
    for (const { name } of description.services) endpoints[name] = [];
    for (const { kind, part, instance } of places) {
      if (kind === "service" && instance.endpoint) endpoints[part]?.push(instance.endpoint);
    }
    board.publish(endpoints as Endpoints);
  };

  const record = () => options.recordChildren([...children].flatMap(({ pid }) => (pid ? [pid] : [])));

  const launch = (place: MutablePlace, start: PlaceStart): Child => {
    const { name } = place.instance;
    let leaveBoard = () => {};
    options.warnings.forget(name);
    const child = startChild({
      ...start,
      title: `holdfast ${name}`,
      clock,
      cwd: options.project.root,
      compileCache: options.project.compileCache,
      onLine: (line, stream) => {
        logs.append(name, line);
        reporter.output(name, line, stream);
      },
      onMessage: (message: FromChild) => {
        if (message.kind === "loaded") for (const file of message.files) place.files.add(file);
        else if (message.kind === "endpoints-taken") board.taken(child, message.version);
        else if (message.kind === "leaving") place.instance.left(child);
        else if (message.kind === "warning" && options.warnings.add(name, message.warning))
          reporter.notice("warn", warningText(message.warning));
      },
    });
    if (place.kind === "gateway") leaveBoard = board.add(child);
    children.add(child);
    record();
    void child.exited.then(() => {
      leaveBoard();
      children.delete(child);
      record();
    });
    return child;
  };

  const addPlace = (kind: Kind, part: string, name: string, start: () => PlaceStart): Place => {
    const place: MutablePlace = {
      kind,
      part,
      files: new Set<string>(),
      instance: new Instance(name, () => launch(place, start()), clock, {
        changed: publish,
        settled: () => (kind === "service" ? board.settled() : Promise.resolve()),
        failed: (exit, waitMs, crashLoop) => reporter.notice(...failure(name, exit, waitMs, crashLoop)),
        recovered: (pid) => reporter.notice("info", `${name} is back, process ${pid}`),
      }),
    };
    places.push(place);
    return place;
  };

  const { systemFile, worldOf } = options;
  for (const [kind, list] of [
    ["service", description.services],
    ["worker", description.workers],
  ] as const) {
    for (const part of list) {
      for (let n = 1; n <= part.instances; n++) {
        const instance = `${part.name}-${n}`;
        addPlace(kind, part.name, instance, () => ({
          entry: entryFile(kind),
          start: { kind: "start-part", systemFile, part: part.name, instance, world: worldOf(part.name) },
        }));
      }
    }
  }
  const { edge } = description;
  const { socketFd } = options;
  if (edge && socketFd !== undefined) {
    for (let n = 1; n <= edge.workers; n++) {
      const instance = `${edge.name}-${n}`;
      addPlace("gateway", edge.name, instance, () => ({
        entry: entryFile("gateway"),
        start: {
          kind: "start-gateway",
          instance,
          gateway: edge,
          fd: inheritedFd,
          endpoints: board.current(),
          sessionSecret: options.sessionSecret,
        },
        inherit: socketFd,
      }));
    }
  }

  const of = (...kinds: Kind[]) => places.filter(({ kind }) => kinds.includes(kind));
  const beginAll = (some: readonly Place[]) =>
    Promise.all(
      some.map(async ({ instance }) => {
        try {
          await instance.begin();
        } catch (error) {
          throw startFailed(instance.name, error);
        }
      }),
    );

  return {
    places,
    async begin() {
      await beginAll(of("service", "worker"));
      await beginAll(of("gateway"));
    },
    async startTraffic(url) {
      const entry = entryFile("traffic");
      const start: PlaceStart = { entry, start: { kind: "start-traffic", systemFile, url } };
      await beginAll([addPlace("traffic", "traffic", "traffic", () => start)]);
    },
    warnAgain() {
      for (const { instance } of places) options.warnings.forget(instance.name);
      for (const child of children) child.send({ kind: "warn-again" });
    },
    status: () => places.map(({ kind, part, instance }) => ({ kind, part, ...instance.status() })),
    async stop(drainMs) {
      const stop = (...kinds: Kind[]) =>
        Promise.all(of(...kinds).map(({ instance }) => instance.stop(drainMs())));
      // What asks ends before what answers; workers ask nobody and have all of the time for their batch.
      const workers = stop("worker");
      for (const kind of ["traffic", "gateway", "service"] as const) await stop(kind);
      await workers;
    },
  };
}

function startFailed(name: string, error: unknown): HoldfastError {
  return new HoldfastError("HOLDFAST_START_FAILED", `${name} did not start: ${(error as Error).message}`, {
    cause: error,
    data: { instance: name },
  });
}

function failure(
  name: string,
  exit: ChildExit,
  waitMs: number,
  crashLoop: boolean,
): ["warn" | "error", string] {
  const why = exit.lastError ? `: ${exit.lastError.split("\n")[0]}` : "";
  if (crashLoop) {
    const seconds = Math.round(waitMs / 1_000);
    return ["error", `${name} keeps failing (${exit.how}${why}); it is tried again in ${seconds} s`];
  }
  return ["warn", `${name} ended (${exit.how}${why}); starting it again`];
}
