/** One data set: where it is kept, how much of it there is, how it grows, how dear it is. */
import { defaults } from "./defaults.ts";
import { Fields, type Findings } from "./fields.ts";
import type { ResolvedDataSet, ResolvedPart } from "./resolved.ts";

const dataFields = [
  "in",
  "items",
  "itemBytes",
  "growsWith",
  "itemsPerCall",
  "itemsPerDay",
  "retentionDays",
  "durability",
  "indexOverhead",
  "hitRatio",
  "skew",
  "activeItems",
];
const one = { low: 1, mid: 1, high: 1 };
const zero = { low: 0, mid: 0, high: 0 };
const hitBounds = { max: 0.9999, remedy: "no cache answers everything" };
const keeping = ["database", "bucket", "topic", "queue", "search", "cache", "external"];

export function readDataSet(
  name: string,
  given: unknown,
  context: {
    readonly findings: Findings;
    readonly parts: ReadonlyMap<string, ResolvedPart>;
    readonly writes: ReadonlyMap<string, boolean>;
    /** Parts that a path asks only when a cache before them does not have it. */
    readonly cachedParts: ReadonlySet<string>;
  },
): ResolvedDataSet {
  const { findings, parts, writes, cachedParts } = context;
  const fields = new Fields(`data.${name}`, given, dataFields, findings);
  const part = fields.requiredText("in");
  const kind = parts.get(part)?.kind;
  if (part !== "" && kind === undefined) {
    fields.problem(
      "in",
      `names "${part}", which does not exist; the parts are ${[...parts.keys()].join(", ") || "none"}`,
    );
  }
  if (kind !== undefined && !keeping.includes(kind))
    fields.problem("in", `names "${part}", a ${kind}, which keeps nothing`);
  const forever = fields.raw("retentionDays") === undefined || fields.raw("retentionDays") === "forever";
  if (!fields.has("retentionDays")) {
    findings.assume(
      fields.at("retentionDays"),
      `${fields.at("retentionDays")} is forever`,
      "nothing was said about deleting",
    );
  }
  const durability = fields.choice("durability", ["critical", "standard", "rebuildable"] as const);
  if (kind === "cache" && durability !== undefined && durability !== "rebuildable") {
    fields.problem("durability", `is ${durability}, which contradicts ${fields.at("in")}: a cache forgets`);
  }
  if (!fields.has("durability")) {
    findings.assume(
      fields.at("durability"),
      `${fields.at("durability")} is standard`,
      "what was acknowledged should survive a lost server",
    );
  }
  return {
    name,
    in: part,
    items: fields.optional("items", "count") ?? zero,
    itemBytes: fields.required("itemBytes", "bytes"),
    growth: readGrowth(fields, writes),
    retentionDays: forever ? undefined : fields.optional("retentionDays", "days", { min: 0 }),
    durability: durability ?? "standard",
    indexOverhead:
      kind === "database" || kind === "search"
        ? fields.assumed("indexOverhead", "ratio", defaults.indexOverhead)
        : (fields.optional("indexOverhead", "ratio") ?? zero),
    hitRatio: cachedParts.has(part)
      ? fields.assumed("hitRatio", "ratio", defaults.hitRatio, hitBounds)
      : fields.optional("hitRatio", "ratio", hitBounds),
    skew: fields.assumed("skew", "ratio", defaults.skew, { max: 3 }),
    activeItems: fields.optional("activeItems", "count", { min: 1 }),
  };
}

function readGrowth(fields: Fields, operations: ReadonlyMap<string, boolean>): ResolvedDataSet["growth"] {
  if (fields.has("growsWith") && fields.has("itemsPerDay")) {
    fields.problem("itemsPerDay", `contradicts ${fields.at("growsWith")}: give one of them`);
  }
  if (fields.has("growsWith")) {
    const operation = fields.text("growsWith") ?? "";
    const writes = operations.get(operation);
    if (operation !== "" && writes === undefined) {
      const known = [...operations.keys()].join(", ");
      fields.problem(
        "growsWith",
        `names the operation "${operation}", which is not in scope; in scope are ${known}`,
      );
    }
    if (writes === false) {
      fields.problem("growsWith", `names "${operation}", which only reads: a data set grows with a write`);
    }
    const itemsPerCall = fields.optional("itemsPerCall", "count") ?? one;
    return { kind: "operation", operation, itemsPerCall };
  }
  if (fields.has("itemsPerCall")) fields.problem("itemsPerCall", "says nothing without growsWith");
  const itemsPerDay = fields.optional("itemsPerDay", "count");
  return itemsPerDay ? { kind: "daily", itemsPerDay } : { kind: "none" };
}
