/** The parts: what the system's code declares, and what the requirements add or plan. */
import type { PlannedKind } from "../../parts/requirements/index.ts";
import { defaults } from "./defaults.ts";
import { Fields, type Findings } from "./fields.ts";
import type { ResolvedPart } from "./resolved.ts";

export const plannedKinds = [
  "gateway",
  "service",
  "worker",
  "database",
  "cache",
  "topic",
  "queue",
  "bucket",
  "cdn",
  "search",
  "external",
] as const satisfies readonly PlannedKind[];

const partFields = [
  "kind",
  "instances",
  "replicas",
  "nodes",
  "shards",
  "partitions",
  "from",
  "limit",
  "ttlMs",
  "singleFlight",
  "maxBytes",
  "serviceMs",
  "availability",
  "replication",
  "backup",
];

/** What a system's code says of a part. */
export type DeclaredPart = Partial<Omit<ResolvedPart, "name" | "kind" | "inCode">> & {
  readonly kind: PlannedKind;
};
export type DeclaredParts = ReadonlyMap<string, DeclaredPart>;

export function readParts(
  entries: readonly (readonly [string, unknown])[],
  declared: DeclaredParts,
  findings: Findings,
): ReadonlyMap<string, ResolvedPart> {
  const parts = new Map<string, ResolvedPart>();
  for (const [name, part] of declared) parts.set(name, { ...open(name, part.kind, true), ...part });
  for (const [name, given] of entries) {
    const code = parts.get(name);
    parts.set(name, readPart(name, given, code, findings));
  }
  if (parts.size === 0) {
    for (const [name, kind] of [
      ["edge", "gateway"],
      ["api", "service"],
      ["store", "database"],
    ] as const) {
      parts.set(name, open(name, kind, false));
    }
    findings.assume(
      "parts",
      "parts are a gateway, a service and a database",
      "the simplest system that answers and keeps",
    );
  }
  for (const [name, part] of parts) {
    const source = part.from === undefined ? undefined : parts.get(part.from);
    if (source && !["topic", "queue", "external"].includes(source.kind)) {
      findings.problems.push(
        `parts.${name}.from names "${part.from}", a ${source.kind}: a worker consumes a topic or a queue`,
      );
    }
    if (part.from !== undefined && !source) {
      findings.problems.push(
        `parts.${name}.from names "${part.from}", which does not exist; the parts are ${[...parts.keys()].join(", ")}`,
      );
    }
  }
  return parts;
}

function readPart(
  name: string,
  given: unknown,
  code: ResolvedPart | undefined,
  findings: Findings,
): ResolvedPart {
  const fields = new Fields(`parts.${name}`, given, partFields, findings);
  const kind = fields.choice("kind", plannedKinds);
  if (!code && !fields.has("kind")) {
    fields.problem("kind", "is missing: the system declares no part of that name, so say what it is");
  }
  if (code && kind && kind !== code.kind)
    fields.problem("kind", `is ${kind}, but the system declares a ${code.kind}`);
  // A kind that is wrong is told once: as something external, it is refused nowhere else.
  const base = code ?? open(name, kind ?? "external", false);
  const own = (field: keyof ResolvedPart, value: unknown) => {
    const said = code?.[field];
    if (code && value !== undefined && said !== undefined && said !== value) {
      fields.problem(field, `is ${String(value)}, but the system declares ${String(said)}: say it once`);
    }
  };
  const counts = {
    instances: fields.whole("instances", 1, 1_000_000),
    replicas: fields.whole("replicas", 0, 100),
    nodes: fields.whole("nodes", 1, 1_000_000),
    shards: fields.whole("shards", 1, 1_000_000),
    partitions: fields.whole("partitions", 1, 1_000_000),
    from: fields.text("from"),
  };
  for (const [field, value] of Object.entries(counts)) own(field as keyof ResolvedPart, value);
  const limit = fields.raw("limit");
  return {
    ...base,
    kind: base.kind,
    instances: counts.instances ?? base.instances,
    replicas: counts.replicas ?? base.replicas,
    nodes: counts.nodes ?? base.nodes,
    shards: counts.shards ?? base.shards,
    partitions: counts.partitions ?? base.partitions,
    from: counts.from ?? base.from,
    limit: limit === "none" ? "none" : (fields.whole("limit", 1, Number.MAX_SAFE_INTEGER) ?? base.limit),
    ttlMs: readTtl(fields, code?.kind ?? kind, base.ttlMs),
    singleFlight: fields.flag("singleFlight") ?? base.singleFlight,
    maxBytes: fields.optional("maxBytes", "bytes", { min: 1 }) ?? base.maxBytes,
    serviceMs: fields.optional("serviceMs", "ms", { min: 1e-6, remedy: "work takes time" }) ?? base.serviceMs,
    availability:
      fields.optional("availability", "ratio", { max: 0.9999999, remedy: "nothing is always up" }) ??
      base.availability,
    replication: fields.choice("replication", ["synchronous", "asynchronous"] as const) ?? base.replication,
    backup: fields.has("backup") ? readBackup(fields) : base.backup,
  };
}

/** How long a cache answers what it has; other parts keep nothing for a while. */
function readTtl(
  fields: Fields,
  kind: PlannedKind | undefined,
  declared: ResolvedPart["ttlMs"],
): ResolvedPart["ttlMs"] {
  if (fields.has("ttlMs") || declared || (kind !== "cache" && kind !== "cdn")) {
    return fields.optional("ttlMs", "ms") ?? declared;
  }
  return fields.assumed("ttlMs", "ms", defaults.ttlMs);
}

function readBackup(parent: Fields): ResolvedPart["backup"] {
  const fields = parent.fields("backup", ["everyHours", "restoredInHours"]);
  return {
    everyHours: fields.required("everyHours", "hours", { min: 0.001 }),
    restoredInHours: fields.optional("restoredInHours", "hours"),
  };
}

function open(name: string, kind: PlannedKind, inCode: boolean): ResolvedPart {
  return {
    name,
    kind,
    inCode,
    instances: undefined,
    replicas: undefined,
    nodes: undefined,
    shards: undefined,
    partitions: undefined,
    from: undefined,
    limit: undefined,
    ttlMs: undefined,
    // Caches of this project load once for all who miss; a planned one has to say so.
    singleFlight: inCode,
    maxBytes: undefined,
    serviceMs: undefined,
    availability: undefined,
    replication: "asynchronous",
    backup: undefined,
  };
}
