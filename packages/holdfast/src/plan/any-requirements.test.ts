/** Whatever is declared, within what the check lets through, there is a plan: by the schema, without a NaN. */
import { Ajv } from "ajv";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { PathStep, PlannedPart, Requirements } from "../parts/requirements/index.ts";
import { shippedCapacities } from "./capacity/shipped.ts";
import { makePlan } from "./plan.ts";
import { designHtml } from "./report/html.ts";
import { planJson, planSchema } from "./report/json.ts";
import { designMarkdown } from "./report/markdown.ts";
import { planLines } from "./report/text.ts";
import { readRequirements } from "./requirements/read.ts";
import { plannedKinds } from "./requirements/read-part.ts";

/** To a thousandth: nobody declares less. */
const upTo = (max: number) =>
  fc.double({ min: 0, max, noNaN: true }).map((value) => Math.round(value * 1_000) / 1_000);
const amount = fc.oneof(
  fc.constantFrom(0, 1, 1e12),
  upTo(1e9),
  fc.array(upTo(1e7), { minLength: 3, maxLength: 3 }).map((list) => {
    const [low = 0, mid = 0, high = 0] = [...list].sort((a, b) => a - b);
    return [low, mid, high] as const;
  }),
);
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
/** Without the fields that were not drawn: not said is not the same as said to be nothing. */
const said = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as T;

const names = ["a", "b", "c", "d", "e"] as const;
const part = fc
  .record({
    kind: fc.constantFrom(...plannedKinds),
    instances: optional(fc.integer({ min: 1, max: 5_000 })),
    nodes: optional(fc.integer({ min: 1, max: 5_000 })),
    replicas: optional(fc.integer({ min: 0, max: 5 })),
    limit: optional(fc.constantFrom(1, "none" as const)),
    singleFlight: optional(fc.boolean()),
    maxBytes: optional(fc.integer({ min: 1, max: 1e9 })),
    serviceMs: optional(fc.double({ min: 1e-3, max: 1e5, noNaN: true })),
  })
  .map(said);
const step = fc
  .record({
    part: fc.constantFrom(...names),
    does: optional(fc.constantFrom("read" as const, "write" as const)),
    calls: optional(upTo(50)),
    order: optional(fc.constantFrom("at-once" as const, "one-by-one" as const)),
    async: optional(fc.boolean()),
    level: optional(fc.constantFrom("eventual" as const, "session" as const, "strong" as const)),
    keys: optional(fc.integer({ min: 1, max: 100 })),
  })
  .map(said);
const operation = fc
  .record({
    does: fc.constantFrom("read" as const, "write" as const),
    ratePerSecond: amount,
    requestBytes: optional(amount),
    path: optional(fc.array(step, { minLength: 1, maxLength: 6 })),
    consistency: optional(fc.constantFrom("eventual" as const, "session" as const, "strong" as const)),
    retries: optional(fc.integer({ min: 0, max: 5 })),
  })
  .map(said);
const requirements: fc.Arbitrary<Requirements> = fc
  .record({
    parts: fc.tuple(part, part, part, part, part),
    operations: fc.array(operation, { minLength: 1, maxLength: 5 }),
    items: amount,
    itemBytes: amount,
    perDay: amount,
    skew: fc.double({ min: 0, max: 3, noNaN: true }),
    growth: fc.double({ min: 0, max: 2, noNaN: true }),
    retention: optional(amount),
    regions: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ parts, operations, items, itemBytes, perDay, skew, growth, retention, regions }) => {
    const byName = Object.fromEntries(names.map((name, index) => [name, parts[index] as PlannedPart]));
    const keeps = names.find((name) =>
      ["database", "bucket", "topic", "queue", "search", "cache", "external"].includes(
        byName[name]?.kind ?? "",
      ),
    );
    const data = keeps
      ? { rows: said({ in: keeps, items, itemBytes, itemsPerDay: perDay, skew, retentionDays: retention }) }
      : {};
    const all = operations.map((one, index) => [
      `op-${index}`,
      { ...one, path: cachedPath(one.path, byName, keeps) },
    ]);
    return {
      name: "any",
      parts: byName,
      operations: Object.fromEntries(all.map(([name, one]) => [name, said(one as object)])),
      data,
      growthPerYear: growth,
      regions,
    } as Requirements;
  });

/** Asks what keeps the data only on a miss, when a cache comes before it. */
function cachedPath(
  path: readonly object[] | undefined,
  parts: Readonly<Record<string, PlannedPart>>,
  keeps: string | undefined,
) {
  const cache = path
    ?.map((one) => one as PathStep)
    .find(({ part: name }) => parts[name]?.kind === "cache" && name !== keeps);
  if (!path || !cache || !keeps) return path;
  return [...path, { part: keeps, onMissOf: cache.part }];
}

const validate = new Ajv({ allErrors: true }).compile(planSchema);

test("there is always a plan, by the schema, and it can be told in every way", () => {
  fc.assert(
    fc.property(requirements, fc.constantFrom(0.01, 1, 1_000), (declared, scale) => {
      const plan = makePlan(readRequirements(declared), { capacity: shippedCapacities, scale });
      expect(validate(JSON.parse(planJson(plan))), JSON.stringify(validate.errors)).toBe(true);
      for (const { id, low, mid, high } of plan.estimates) expect(low <= mid && mid <= high, id).toBe(true);
      for (const told of [
        planLines(plan, { color: false }).join("\n"),
        designMarkdown(plan, { command: "x" }),
        designHtml(plan),
      ]) {
        expect(told).not.toMatch(/\bNaN\b|\bundefined\b|\[object/);
      }
    }),
    { numRuns: 150 },
  );
});
