/** One operation: how often it is called, what it carries, which parts it touches, what is wanted of it. */
import type { Interval } from "../models/interval.ts";
import { defaults } from "./defaults.ts";
import { Fields, type Findings } from "./fields.ts";
import type { CallRate, ResolvedFanOut, ResolvedOperation, ResolvedPart, ResolvedStep } from "./resolved.ts";

const operationFields = [
  "calledBy",
  "scope",
  "does",
  "users",
  "perUserPerDay",
  "ratePerSecond",
  "perOperation",
  "peakFactor",
  "requestBytes",
  "responseBytes",
  "path",
  "p99Ms",
  "consistency",
  "idempotent",
  "retries",
  "fanOut",
];
const stepFields = ["part", "does", "calls", "order", "async", "onMissOf", "level", "keys", "bytes"];
const freshness = ["eventual", "session", "strong"] as const;
const one: Interval = { low: 1, mid: 1, high: 1 };

export interface OperationContext {
  readonly findings: Findings;
  readonly dailyUsers: Interval | undefined;
  /** Whether the declaration has users at all, right or wrong: a wrong number is told once. */
  readonly dailyUsersSaid: boolean;
  readonly parts: ReadonlyMap<string, ResolvedPart>;
  readonly operations: readonly string[];
  /** Bytes of the items that a call of the operation adds, when a data set grows with it. */
  readonly addedBytes: Interval | undefined;
}

/** @returns `undefined` for an operation that is out of scope */
export function readOperation(
  name: string,
  given: unknown,
  context: OperationContext,
): ResolvedOperation | undefined {
  const fields = new Fields(`operations.${name}`, given, operationFields, context.findings);
  if (fields.choice("scope", ["in", "out"] as const) === "out") return undefined;
  if (!fields.has("does")) fields.problem("does", "is missing: say read or write");
  const does = fields.choice("does", ["read", "write"] as const) ?? "read";
  const consistency = fields.choice("consistency", freshness) ?? assumedFreshness(fields);
  return {
    name,
    calledBy: fields.text("calledBy") ?? "users",
    does,
    rate: readRate(fields, context),
    peakFactor: fields.assumed("peakFactor", "ratio", defaults.peakFactor, {
      min: 1,
      remedy: "the busiest hour has at least the average",
    }),
    requestBytes: readRequestBytes(fields, context),
    responseBytes: fields.assumed(
      "responseBytes",
      "bytes",
      does === "read" ? defaults.responseBytes : defaults.writeResponseBytes,
    ),
    path: readPath(fields, does, consistency, context),
    p99Ms: fields.assumed("p99Ms", "ms", defaults.p99Ms, { min: 0.001 }),
    consistency,
    idempotent: readIdempotence(fields, does),
    retries: readRetries(fields),
    fanOut: fields.has("fanOut") ? readFanOut(fields, context) : undefined,
  };
}

function assumedFreshness(fields: Fields): "session" {
  if (!fields.has("consistency")) {
    fields.findings.assume(
      fields.at("consistency"),
      `${fields.at("consistency")} is session`,
      "the default read level of this project's database: who writes sees it",
    );
  }
  return "session";
}

function readRate(fields: Fields, { dailyUsers, dailyUsersSaid, operations }: OperationContext): CallRate {
  const ways = ["perUserPerDay", "ratePerSecond", "perOperation"].filter((name) => fields.has(name));
  if (ways.length === 0) {
    fields.problem("ratePerSecond", "is missing: give ratePerSecond, or perUserPerDay, or perOperation");
  }
  if (ways.length > 1) {
    fields.problem(ways[1] ?? "", `contradicts ${fields.at(ways[0] ?? "")}: give one of ${ways.join(", ")}`);
    // Whichever of them stays has to be right.
    if (fields.has("ratePerSecond")) fields.optional("ratePerSecond", "rate");
    if (fields.has("perOperation") && fields.has("perUserPerDay")) fields.optional("perUserPerDay", "count");
  }
  if (fields.has("perOperation")) {
    const ratio = fields.fields("perOperation", ["of", "ratio"]);
    const of = ratio.requiredText("of");
    if (of !== "" && !operations.includes(of)) {
      ratio.problem(
        "of",
        `names the operation "${of}", which is not in scope; in scope are ${operations.join(", ")}`,
      );
    }
    return { kind: "ratio", of, ratio: ratio.required("ratio", "ratio") };
  }
  if (fields.has("perUserPerDay")) {
    const users = fields.optional("users", "count") ?? dailyUsers;
    if (!users && !fields.has("users") && !dailyUsersSaid) {
      fields.problem("users", "is missing: give it, or dailyUsers of the whole system");
    }
    return {
      kind: "users",
      users: users ?? one,
      perUserPerDay: fields.required("perUserPerDay", "count"),
    };
  }
  if (fields.has("users")) {
    fields.problem("users", "says nothing without perUserPerDay: give it, or leave users out");
  }
  return { kind: "rate", perSecond: fields.optional("ratePerSecond", "rate") ?? one };
}

function readRequestBytes(fields: Fields, { addedBytes }: OperationContext): Interval {
  if (fields.has("requestBytes") || !addedBytes) {
    return fields.assumed("requestBytes", "bytes", defaults.requestBytes);
  }
  fields.findings.assume(
    fields.at("requestBytes"),
    `${fields.at("requestBytes")} is what the call adds to the data`,
    "a write carries what is then kept",
  );
  return addedBytes;
}

function readIdempotence(fields: Fields, does: "read" | "write"): ResolvedOperation["idempotent"] {
  const said = fields.choice("idempotent", ["by-nature", "by-key", "no"] as const);
  if (said) return said;
  if (does === "read") return "by-nature";
  if (!fields.has("idempotent")) {
    fields.findings.assume(
      fields.at("idempotent"),
      `${fields.at("idempotent")} is no`,
      "a write that says nothing may not be repeated",
    );
  }
  return "no";
}

function readRetries(fields: Fields): number {
  if (fields.has("retries")) return fields.whole("retries", 0, 20) ?? 0;
  const { value, source } = defaults.retries;
  fields.findings.assume(fields.at("retries"), `${fields.at("retries")} is ${value}`, source);
  return value;
}

function readPath(
  fields: Fields,
  does: "read" | "write",
  consistency: ResolvedStep["level"],
  context: OperationContext,
): readonly ResolvedStep[] {
  const given = fields.has("path") ? fields.list("path") : assumedPath(fields, context.parts);
  if (Array.isArray(fields.raw("path")) && given.length === 0) {
    fields.problem("path", "is empty: name the parts that it touches, or leave it out for the simplest path");
  }
  const caches: string[] = [];
  const steps = given.map((step, index): ResolvedStep => {
    const object = typeof step === "string" ? { part: step } : step;
    const read = new Fields(`${fields.at("path")}[${index}]`, object, stepFields, context.findings);
    const part = read.requiredText("part");
    const known = context.parts.get(part);
    if (part !== "" && !known) {
      read.problem(
        "part",
        `names "${part}", which does not exist; the parts are ${[...context.parts.keys()].join(", ") || "none"}`,
      );
    }
    const onMissOf = read.text("onMissOf");
    if (onMissOf !== undefined && !caches.includes(onMissOf)) {
      read.problem("onMissOf", `names "${onMissOf}", which is no cache earlier in this path`);
    }
    if (known?.kind === "cache" || known?.kind === "cdn") caches.push(part);
    return {
      part,
      does: read.choice("does", ["read", "write"] as const) ?? (known?.kind === "cache" ? "read" : does),
      calls: read.optional("calls", "count") ?? one,
      order: read.choice("order", ["at-once", "one-by-one"] as const) ?? "at-once",
      async: read.flag("async") ?? false,
      onMissOf,
      level: read.choice("level", freshness) ?? consistency,
      keys: read.optional("keys", "count", { min: 1 }) ?? one,
      bytes: read.optional("bytes", "bytes"),
    };
  });
  return [...steps, ...consumers(steps, context.parts)];
}

/** Workers that take what the path publishes, where the path does not name them: what is published is worked on. */
function consumers(
  steps: readonly ResolvedStep[],
  parts: ReadonlyMap<string, ResolvedPart>,
): readonly ResolvedStep[] {
  return [...parts.values()].flatMap((worker) => {
    if (worker.kind !== "worker" || steps.some(({ part }) => part === worker.name)) return [];
    const published = steps.filter(({ part, does }) => part === worker.from && does === "write");
    return published.map((step) => ({ ...step, part: worker.name, async: true, onMissOf: undefined }));
  });
}

/** The simplest way through: a door, something that answers, something that keeps. */
function assumedPath(fields: Fields, parts: ReadonlyMap<string, ResolvedPart>): readonly string[] {
  const all = [...parts.values()];
  const path = (["gateway", "service", "database"] as const)
    .map((kind) => all.find((part) => part.kind === kind)?.name)
    .filter((name) => name !== undefined);
  fields.findings.assume(
    fields.at("path"),
    `${fields.at("path")} is ${path.join(", ")}`,
    "the simplest path: the first gateway, service and database",
  );
  return path;
}

function readFanOut(
  parent: Fields,
  { parts, operations, dailyUsers, dailyUsersSaid }: OperationContext,
): ResolvedFanOut {
  const known = ["to", "by", "accounts", "followers", "readBy", "deliveredWithinMs"];
  const fields = parent.fields("fanOut", known);
  const to = fields.requiredText("to");
  const by = fields.text("by");
  for (const [name, part] of [
    ["to", to],
    ["by", by],
  ] as const) {
    if (part && !parts.has(part))
      fields.problem(
        name,
        `names "${part}", which does not exist; the parts are ${[...parts.keys()].join(", ")}`,
      );
  }
  const readBy = fields.requiredText("readBy");
  if (readBy !== "" && !operations.includes(readBy)) {
    fields.problem(
      "readBy",
      `names the operation "${readBy}", which is not in scope; in scope are ${operations.join(", ")}`,
    );
  }
  const accounts = fields.optional("accounts", "count", { min: 1 }) ?? dailyUsers;
  if (!accounts && !fields.has("accounts") && !dailyUsersSaid)
    fields.problem("accounts", "is missing: give it, or dailyUsers of the whole system");
  const followers = fields.fields("followers", ["mean", "max"]);
  const mean = followers.required("mean", "count", { min: 1 });
  const max = followers.required("max", "count", { min: 1 });
  if (mean.high > max.low && max.low > 0) {
    followers.problem("max", "contradicts mean: nobody has more than the most, so the mean is below it");
  }
  if (accounts && max.high > accounts.low) {
    followers.problem("max", "contradicts accounts: nobody has more followers than there are accounts");
  }
  const deliveredWithinMs = fields.assumed("deliveredWithinMs", "ms", defaults.deliveredWithinMs, { min: 1 });
  return { to, by, accounts: accounts ?? one, followers: { mean, max }, readBy, deliveredWithinMs };
}
