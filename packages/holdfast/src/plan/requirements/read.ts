/**
 * The whole declaration, read, checked and completed. All problems are told at once, each with the path of its
 * field; whatever was not said is assumed, and listed.
 */
import { refuseProblems } from "../../call/index.ts";
import type { Requirements } from "../../parts/requirements/index.ts";
import { add, exactly, type Interval, multiply } from "../models/interval.ts";
import { defaults } from "./defaults.ts";
import { Fields, Findings } from "./fields.ts";
import { parseQuantity } from "./quantity.ts";
import { readDataSet } from "./read-data.ts";
import { readOperation } from "./read-operation.ts";
import { type DeclaredParts, readParts } from "./read-part.ts";
import type { ResolvedOperation, ResolvedPrices, ResolvedRequirements } from "./resolved.ts";

const topFields = [
  "kind",
  "name",
  "summary",
  "dailyUsers",
  "operations",
  "outOfScope",
  "data",
  "parts",
  "availability",
  "regions",
  "growthPerYear",
  "horizonYears",
  "assumptions",
  "decisions",
  "prices",
];

export interface ReadOptions {
  /** Name when the declaration has none. */
  readonly name?: string;
  /** Parts that the system's code declares. Default: none, a design without code. */
  readonly declared?: DeclaredParts;
}

/** @throws {HoldfastError} HOLDFAST_REQUIREMENTS_INVALID with every problem at once */
export function readRequirements(given: Requirements, options: ReadOptions = {}): ResolvedRequirements {
  const findings = new Findings();
  const read = readAll(given, options, findings);
  const name = read.name === "" ? "requirements" : `requirements of "${read.name}"`;
  refuseProblems("HOLDFAST_REQUIREMENTS_INVALID", name, findings.problems);
  return read;
}

function readAll(given: unknown, options: ReadOptions, findings: Findings): ResolvedRequirements {
  const fields = new Fields("", given, topFields, findings);
  const dailyUsers = fields.optional("dailyUsers", "count");
  const parts = readParts(fields.entries("parts"), options.declared ?? new Map(), findings);
  const outOfScope = fields.texts("outOfScope");
  const entries = fields.entries("operations");
  const inScope = new Map(
    entries.filter(([, one]) => field(one, "scope") !== "out").map(([name, one]) => [name, writes(one)]),
  );
  if (inScope.size === 0) fields.problem("operations", "has none in scope: a system has to do something");
  for (const name of outOfScope) {
    if (inScope.has(name)) fields.problem("outOfScope", `names "${name}", which operations have in scope`);
  }
  const dataEntries = fields.entries("data");
  const operations = entries.flatMap(([name, one]) => {
    const addedBytes = addedBytesOf(name, dataEntries);
    const context = {
      findings,
      dailyUsers,
      dailyUsersSaid: fields.has("dailyUsers"),
      parts,
      operations: [...inScope.keys()],
      addedBytes,
    };
    return readOperation(name, one, context) ?? [];
  });
  refuseCircles(operations, findings);
  const steps = operations.flatMap(({ path }) => path);
  const cachedParts = new Set(steps.filter(({ onMissOf }) => onMissOf !== undefined).map(({ part }) => part));
  const context = { findings, parts, writes: inScope, cachedParts };
  const data = dataEntries.map(([name, one]) => readDataSet(name, one, context));
  const regions = fields.whole("regions", 1, 100);
  if (!fields.has("regions")) findings.assume("regions", "regions is 1", "nothing was said of more");
  return {
    name: fields.text("name") ?? options.name ?? "",
    summary: fields.text("summary"),
    dailyUsers,
    operations,
    outOfScope: [...outOfScope, ...entries.map(([name]) => name).filter((name) => !inScope.has(name))],
    data,
    parts: [...parts.values()],
    availability: fields.assumed("availability", "ratio", defaults.availability, {
      max: 0.9999999,
      remedy: "no system is always up",
    }),
    regions: regions ?? 1,
    growthPerYear: fields.assumed("growthPerYear", "ratio", defaults.growthPerYear),
    horizonYears: fields.assumed("horizonYears", "years", defaults.horizonYears, { max: 100 }),
    decisions: readDecisions(fields),
    prices: readPrices(fields),
    assumptions: [...readStated(fields), ...findings.assumptions],
  };
}

/** Whether a call of the operation writes anything: a read may leave something behind on its path. */
function writes(operation: unknown): boolean {
  const path = field(operation, "path");
  const steps: readonly unknown[] = Array.isArray(path) ? path : [];
  return field(operation, "does") !== "read" || steps.some((step) => field(step, "does") === "write");
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

/** What one call of the operation adds to all data sets that grow with it; problems are told where each is read. */
function addedBytesOf(
  operation: string,
  data: readonly (readonly [string, unknown])[],
): Interval | undefined {
  let sum: Interval | undefined;
  for (const [, one] of data) {
    if (field(one, "growsWith") !== operation) continue;
    const bytes = parseQuantity(field(one, "itemBytes"), "bytes");
    const items = parseQuantity(field(one, "itemsPerCall") ?? 1, "count");
    if (!("value" in bytes && "value" in items)) continue;
    const added = multiply(bytes.value, items.value);
    sum = add(sum ?? exactly(0), added);
  }
  return sum;
}

/** A ratio of a ratio is fine; a ratio of itself, by whatever way round, is no rate. */
function refuseCircles(operations: readonly ResolvedOperation[], findings: Findings): void {
  const of = new Map(operations.map(({ name, rate }) => [name, rate.kind === "ratio" ? rate.of : undefined]));
  for (const { name } of operations) {
    const seen = new Set<string>();
    for (let at: string | undefined = name; at !== undefined; at = of.get(at)) {
      if (seen.has(at)) {
        findings.problems.push(
          `operations.${name}.perOperation.of goes in a circle: ${[...seen, at].join(", ")}; give one of them a rate of its own`,
        );
        break;
      }
      seen.add(at);
    }
  }
}

function readStated(fields: Fields): ResolvedRequirements["assumptions"] {
  return fields.list("assumptions").map((one, index) => {
    const stated = new Fields(`assumptions[${index}]`, one, ["text", "source"], fields.findings);
    const id = `stated-${index + 1}`;
    return { id, text: stated.requiredText("text"), source: stated.requiredText("source"), by: "author" };
  });
}

function readDecisions(fields: Fields): ResolvedRequirements["decisions"] {
  const known = ["question", "options", "choice", "because", "price"];
  return fields.list("decisions").map((one, index) => {
    const decision = new Fields(`decisions[${index}]`, one, known, fields.findings);
    const options = decision.texts("options");
    const choice = decision.requiredText("choice");
    if (choice !== "" && !options.includes(choice)) {
      decision.problem("choice", `is "${choice}", which is none of its options`);
    }
    return {
      question: decision.requiredText("question"),
      options,
      choice,
      because: decision.requiredText("because"),
      price: decision.requiredText("price"),
    };
  });
}

function readPrices(parent: Fields): ResolvedPrices | undefined {
  if (!parent.has("prices")) return undefined;
  const amounts = ["instanceHour", "nodeHour", "storageGigabyteMonth", "egressGigabyte"];
  const fields = parent.fields("prices", ["currency", "source", ...amounts]);
  return {
    currency: fields.requiredText("currency"),
    source: fields.requiredText("source"),
    instanceHour: fields.optional("instanceHour", "money"),
    nodeHour: fields.optional("nodeHour", "money"),
    storageGigabyteMonth: fields.optional("storageGigabyteMonth", "money"),
    egressGigabyte: fields.optional("egressGigabyte", "money"),
  };
}
