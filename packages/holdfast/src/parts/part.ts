/**
 * A part: one thing a system is made of, declared as an exported constant that is also its typed client.
 *
 * The handle holds only its declaration. What it runs on (its port, as bound to an engine) is looked up in
 * the current world at each use, so that one declaration can live in many worlds.
 */
export type PartKind =
  | "service"
  | "gateway"
  | "worker"
  | "database"
  | "cache"
  | "topic"
  | "queue"
  | "schedule";

export interface Part {
  readonly kind: PartKind;
  readonly name: string;
}

/** A database, to whoever needs no more of it than its name. */
export interface DatabasePart extends Part {
  readonly kind: "database";
}

/** Links a handle's type to the port that a world binds it to. Never present at run time. */
declare const portType: unique symbol;

export interface Bindable<Port> extends Part {
  readonly [portType]?: Port;
}

const partKinds: ReadonlySet<string> = new Set<PartKind>([
  "service",
  "gateway",
  "worker",
  "database",
  "cache",
  "topic",
  "queue",
  "schedule",
]);

/** Whether a module's export is a part: modules of parts may export schemas and constants beside them. */
export function isPart(value: unknown): value is Part {
  return (
    typeof value === "object" &&
    value !== null &&
    "kind" in value &&
    "name" in value &&
    typeof value.name === "string" &&
    partKinds.has(String(value.kind))
  );
}

/** Names become schema, directory and metric names: letters, digits and hyphens, a letter first. */
export function namingProblem(kind: PartKind | "system", name: string): string | undefined {
  if (/^[a-z][a-z0-9-]{0,39}$/.test(name)) return undefined;
  return `${kind} name ${JSON.stringify(name)}: use 1 to 40 lowercase letters, digits and hyphens, beginning with a letter`;
}
