/**
 * A system: its parts, how they are wired, and what is required of them. Declaring it runs nothing.
 */
import { refuseProblems } from "../call/index.ts";
import type { Cache } from "./cache/index.ts";
import type { AnyDatabase } from "./database/index.ts";
import type { Gateway } from "./gateway/index.ts";
import { isPart, namingProblem, type Part } from "./part.ts";
import type { Queue } from "./queue/index.ts";
import type { Requirements } from "./requirements/index.ts";
import type { Schedule } from "./schedule/index.ts";
import { versionProblems } from "./schema/index.ts";
import type { Service } from "./service/index.ts";
import { systemAccessProblems } from "./system-access.ts";
import type { Topic } from "./topic/index.ts";
import type { AnyWorker } from "./worker/index.ts";

export interface SystemOptions {
  /** The module of parts (`import * as parts`): its exports that are parts; schemas and constants may stand beside. */
  readonly parts: Readonly<Record<string, unknown>>;
  /** The door. Without one the system has services that only other services reach. */
  readonly edge?: Gateway;
  /** What is required of it: what `holdfast plan` starts from. Running it does not look at them. */
  readonly requirements?: Requirements;
}

export interface System {
  readonly kind: "system";
  readonly name: string;
  readonly edge: Gateway | undefined;
  readonly services: readonly Service[];
  readonly workers: readonly AnyWorker[];
  readonly databases: readonly AnyDatabase[];
  readonly caches: readonly Cache[];
  readonly topics: readonly Topic<never>[];
  readonly queues: readonly Queue<never>[];
  readonly schedules: readonly Schedule[];
  readonly requirements: Requirements | undefined;
}

/** @throws {HoldfastError} HOLDFAST_SYSTEM_INVALID with every problem at once */
export function system(name: string, options: SystemOptions): System {
  const exported = Object.values(options.parts).filter(isPart);
  const parts: readonly Part[] = [...new Set(exported)];
  const of = <Kind extends Part>(kind: Kind["kind"]) =>
    parts.filter((part): part is Kind => part.kind === kind);
  const declared: System = {
    kind: "system",
    name,
    edge: options.edge ?? of<Gateway>("gateway")[0],
    services: of<Service>("service"),
    workers: of<AnyWorker>("worker"),
    databases: of<AnyDatabase>("database"),
    caches: of<Cache>("cache"),
    topics: of<Topic<never>>("topic"),
    queues: of<Queue<never>>("queue"),
    schedules: of<Schedule>("schedule"),
    requirements: options.requirements,
  };
  refuseProblems("HOLDFAST_SYSTEM_INVALID", `system "${name}"`, systemProblems(declared, parts));
  return Object.freeze(declared);
}

const kept = { topic: "its log lives", queue: "its jobs live" } as const;

function systemProblems(declared: System, parts: readonly Part[]): string[] {
  const problems: string[] = [];
  const naming = namingProblem("system", declared.name);
  if (naming) problems.push(naming);
  if (parts.length === 0)
    problems.push("parts has no part: export services, databases and the rest from the parts module");

  const names = new Map<string, Part>();
  const all = declared.edge && !parts.includes(declared.edge) ? [...parts, declared.edge] : parts;
  for (const part of all) {
    const other = names.get(part.name);
    if (other)
      problems.push(`${part.kind} "${part.name}" has the name of a ${other.kind}: rename one of them`);
    names.set(part.name, part);
  }
  for (const route of declared.edge?.options.routes ?? []) {
    if (!parts.includes(route.to)) {
      problems.push(
        `route "${route.path}" goes to service "${route.to.name}", which parts does not export: export it`,
      );
    }
  }
  for (const worker of declared.workers) {
    const source: Part = worker.options.from;
    if (!parts.includes(source)) {
      problems.push(
        `worker "${worker.name}" reads ${source.kind} "${source.name}", which parts does not export: export it`,
      );
    }
  }
  for (const { kind, name, options } of [...declared.topics, ...declared.queues]) {
    const { home } = options;
    if (home && !parts.includes(home)) {
      problems.push(
        `${kind} "${name}" has its home in database "${home.name}", which parts does not export: export it`,
      );
    }
    if (!home && declared.databases.length === 0) {
      problems.push(`${kind} "${name}" has no home: declare a database, ${kept[kind]} there`);
    }
  }
  for (const { name, options } of declared.topics) {
    const { versions } = options;
    for (const problem of versions ? versionProblems(versions.description) : [])
      problems.push(`topic "${name}": ${problem}`);
  }
  for (const { name, options } of declared.schedules) {
    const { to } = options;
    if (!parts.includes(to)) {
      problems.push(
        `schedule "${name}" sends to ${to.kind} "${to.name}", which parts does not export: export it`,
      );
    }
  }
  const { services, workers, databases, topics, queues, caches } = declared;
  const homes = [...topics, ...queues].flatMap(
    ({ options }) => options.home?.name ?? databases[0]?.name ?? [],
  );
  problems.push(
    ...systemAccessProblems({
      parts: [...services, ...workers],
      databases: databases.map(({ name }) => name),
      homes,
      hasCaches: caches.length > 0,
    }),
  );
  return problems;
}

/** Whether a module's default export is a system. */
export function isSystem(value: unknown): value is System {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "system";
}
