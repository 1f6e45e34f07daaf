import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fits } from "./fits.ts";
import { isObject, isSchema, type JsonSchema, type JsonSchemaObject } from "./json-schema.ts";

const ajv = new Ajv2020({ strict: false, validateFormats: false });
const validator = (schema: JsonSchema) => ajv.compile(schema as object);

type Check = ReturnType<typeof validator>;

const names = ["a", "b", "c"];
const texts = ["", "x", "xy", "xyz", "wxyz"];
const limits = fc.integer({ min: 0, max: 4 });
const leaf: fc.Arbitrary<JsonSchemaObject> = fc.oneof(
  fc.record(
    { type: fc.constant("string"), minLength: limits, maxLength: limits },
    { requiredKeys: ["type"] },
  ),
  fc.record(
    {
      type: fc.constantFrom("integer", "number"),
      minimum: limits,
      maximum: limits,
      exclusiveMinimum: limits,
      multipleOf: fc.constantFrom(1, 2, 4),
    },
    { requiredKeys: ["type"] },
  ),
  fc.record({
    type: fc.subarray(["string", "integer", "null", "boolean", "object", "array"], { minLength: 1 }),
  }),
  fc.record({ enum: fc.subarray([...texts, 0, 1, 2, null, true], { minLength: 1 }) }),
  fc.record({ const: fc.constantFrom<unknown>("x", 1, null) }),
);

const { schema: anySchema } = fc.letrec<{ schema: JsonSchema; object: JsonSchemaObject }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 2, depthIdentifier: "schema" },
    leaf,
    tie("object"),
    fc.record({ anyOf: fc.array(tie("schema"), { minLength: 1, maxLength: 3 }) }),
    fc.record({ allOf: fc.tuple(tie("object"), tie("object")) }),
    fc.record({
      oneOf: fc.uniqueArray(
        fc.tuple(fc.constantFrom("x", "xy", "xyz"), tie("object")).map(([kind, object]) => ({
          ...object,
          properties: { ...(object.properties as object), a: { const: kind } },
          required: [...new Set(["a", ...((object.required as string[]) ?? [])])],
        })),
        { minLength: 1, maxLength: 3, selector: ({ properties }) => properties.a.const },
      ),
    }),
    fc.record(
      {
        type: fc.constant("array"),
        items: tie("schema"),
        prefixItems: fc.array(tie("schema"), { minLength: 1, maxLength: 2 }),
        minItems: limits,
        maxItems: limits,
        uniqueItems: fc.boolean(),
      },
      { requiredKeys: ["type"] },
    ),
  ),
  object: fc.record(
    {
      type: fc.constant("object"),
      properties: fc.dictionary(fc.constantFrom(...names), tie("schema"), { maxKeys: 3 }),
      required: fc.subarray(names),
      additionalProperties: fc.oneof(fc.constant(false), tie("schema")),
      maxProperties: limits,
    },
    { requiredKeys: ["type"] },
  ),
}));

/** A schema and one that was made of it by a small change, so that many pairs are close to each other. */
const pair: fc.Arbitrary<readonly [JsonSchema, JsonSchema]> = fc
  .tuple(anySchema, anySchema, fc.array(fc.nat(20), { minLength: 1, maxLength: 6 }), fc.boolean())
  .map(([one, other, way, swap]) => {
    const changed = change(one, way, other);
    return swap ? ([changed, one] as const) : ([one, changed] as const);
  });

/** Walks into the schema along `way`, and there takes a keyword away or brings one in. */
function change(schema: JsonSchema, way: readonly number[], other: JsonSchema): JsonSchema {
  const [step = 0, ...rest] = way;
  if (typeof schema !== "object" || typeof other !== "object") return other;
  const keys = Object.keys(schema);
  const key = keys[step % Math.max(1, keys.length)] ?? "type";
  if (rest.length === 0) {
    const { [key]: _, ...without } = schema;
    return step % 2 === 0 ? without : { ...schema, ...other };
  }
  const value = schema[key];
  if (Array.isArray(value) && isObject(value[0])) {
    const at = step % value.length;
    return { ...schema, [key]: value.map((one, index) => (index === at ? change(one, rest, other) : one)) };
  }
  if (key === "properties") {
    const properties = value as Record<string, JsonSchema>;
    const name = Object.keys(properties)[step % 3] ?? "a";
    return { ...schema, properties: { ...properties, [name]: change(properties[name] ?? {}, rest, other) } };
  }
  return change(schema, rest, other);
}

/** The same schema as writers mean it: of what names properties, no other ones. Each alternative by itself. */
function closed(schema: JsonSchema): JsonSchema {
  if (typeof schema === "boolean") return schema;
  const { anyOf, oneOf, allOf, ...rest } = schema;
  const parts = ((allOf ?? []) as JsonSchema[]).map((one) => (typeof one === "object" ? one : {}));
  for (const [index, one] of [schema, ...parts].entries()) {
    const keyword = one.anyOf ? "anyOf" : one.oneOf ? "oneOf" : undefined;
    if (!keyword) continue;
    const { [keyword]: branches, ...without } = one;
    const base = index === 0 ? without : { ...schema, allOf: parts.with(index - 1, without) };
    return { anyOf: (branches as JsonSchema[]).map((branch) => closed({ allOf: [base, branch] })) };
  }
  if (parts.some((part) => part.allOf)) {
    return closed({
      ...rest,
      allOf: parts.flatMap(({ allOf: inner = [], ...own }) => [own, ...(inner as [])]),
    });
  }
  const names = [rest, ...parts].some((one) => one.properties);
  return { allOf: [rest, ...parts].map(closedInside), ...(names ? { unevaluatedProperties: false } : {}) };
}

function closedInside(schema: JsonSchemaObject): JsonSchemaObject {
  const { properties, required, items, prefixItems, additionalProperties } = schema;
  const named = Object.entries((properties ?? {}) as Record<string, JsonSchema>).map(([name, one]) => [
    name,
    closed(one),
  ]);
  const asked = ((required ?? []) as string[]).map((name) => [
    name,
    additionalProperties === undefined ? {} : closed(additionalProperties as JsonSchema),
  ]);
  return {
    ...schema,
    ...(properties ? { properties: Object.fromEntries([...asked, ...named]) } : {}),
    ...(isSchema(items) ? { items: closed(items) } : {}),
    ...(prefixItems ? { prefixItems: (prefixItems as JsonSchema[]).map(closed) } : {}),
    ...(isSchema(additionalProperties) ? { additionalProperties: closed(additionalProperties) } : {}),
  };
}

/** Values that may fit, of the properties that the schema names, or that it says may be there beside them. */
function valuesOf(schema: JsonSchema, named: readonly string[], depth = 0): fc.Arbitrary<unknown> {
  const anyText = fc.constantFrom(...texts);
  const anyNumber = fc.oneof(fc.integer({ min: -1, max: 6 }), fc.constantFrom(0.5, 2.5));
  const scalar = fc.oneof(anyText, anyNumber, fc.constantFrom(null, true, false));
  if (typeof schema === "boolean" || depth > 4) return scalar;
  const own = Object.keys((schema.properties as object) ?? {});
  const open = schema.additionalProperties !== undefined && schema.additionalProperties !== false;
  const keys = [...new Set([...own, ...((schema.required as string[]) ?? []), ...named])];
  const parts = [...((schema.anyOf ?? schema.oneOf ?? []) as JsonSchema[])];
  const all = (schema.allOf as JsonSchema[]) ?? [];
  const allKeys = all.flatMap((one) =>
    typeof one === "object" ? Object.keys((one.properties as object) ?? {}) : [],
  );
  const allRequired = all.flatMap((one) =>
    typeof one === "object" ? ((one.required as string[]) ?? []) : [],
  );
  const keysHere = [...new Set([...keys, ...allKeys, ...allRequired])];
  const propertyValue = (name: string) => {
    const schemas = [schema, ...all].flatMap((one): JsonSchema[] => {
      if (typeof one !== "object") return [];
      const properties = (one.properties ?? {}) as Record<string, JsonSchema>;
      const said = properties[name] ?? (one.additionalProperties as JsonSchema | undefined);
      return said === undefined ? [] : [said];
    });
    return fc.oneof(...(schemas.length ? schemas : [true]).map((one) => valuesOf(one, [], depth + 1)));
  };
  const openKeys =
    open || all.some((one) => typeof one === "object" && one.additionalProperties !== undefined);
  const objects = fc.record(
    Object.fromEntries([...keysHere, ...(openKeys ? ["d"] : [])].map((name) => [name, propertyValue(name)])),
    { requiredKeys: [] },
  );
  const items = (schema.items ?? true) as JsonSchema;
  const prefix = (schema.prefixItems ?? []) as JsonSchema[];
  const arrays = fc
    .tuple(
      fc.tuple(...prefix.map((one) => valuesOf(one, [], depth + 1))),
      fc.array(valuesOf(items, [], depth + 1), { maxLength: 3 }),
      fc.nat(5),
    )
    .map(([first, more, length]) => [...first, ...more].slice(0, length));
  const typed = ([] as unknown[]).concat(schema.type ?? []);
  const sources: fc.Arbitrary<unknown>[] = [];
  if (schema.enum) sources.push(fc.constantFrom(...(schema.enum as unknown[])));
  if ("const" in schema) sources.push(fc.constant(schema.const));
  if (typed.includes("string")) sources.push(anyText);
  if (typed.includes("integer") || typed.includes("number")) sources.push(anyNumber);
  if (typed.includes("object") || all.length > 0) sources.push(objects);
  if (typed.includes("array")) sources.push(arrays);
  for (const part of parts) sources.push(valuesOf(part, [], depth + 1));
  sources.push(scalar);
  return fc.oneof(...sources);
}

/** Most of the time is the validator's, which compiles each schema. */
const runs = process.env.HOLDFAST_DEEP ? 10_000 : 400;

test("nothing that is written is refused where nothing was found against it", () => {
  let compatible = 0;
  let incompatible = 0;
  let refused = 0;
  fc.assert(
    fc.property(
      pair.chain(([writer, reader]) =>
        fc.tuple(
          fc.constant(writer),
          fc.constant(reader),
          fc.array(valuesOf(writer, []), { minLength: 12, maxLength: 12 }),
        ),
      ),
      ([writer, reader, values]) => {
        const findings = fits(writer, reader);
        const [writes, writesOnly, reads] = [writer, closed(writer), reader].map(validator) as [
          Check,
          Check,
          Check,
        ];
        // As JSON has them: without prototypes of their own.
        const plain = JSON.parse(JSON.stringify(values)) as unknown[];
        const written = plain.filter((value) => writes(value) && writesOnly(value));
        if (findings.length > 0) {
          incompatible++;
          if (written.some((value) => !reads(value))) refused++;
          return;
        }
        if (written.length > 0) compatible++;
        for (const value of written) {
          expect(
            reads(value),
            `${JSON.stringify(value)} fits ${JSON.stringify(writer)}, not ${JSON.stringify(reader)}`,
          ).toBe(true);
        }
      },
    ),
    { numRuns: runs },
  );
  // Both kinds came up, and what was found has witnesses.
  expect(compatible).toBeGreaterThan(runs / 10);
  expect(incompatible).toBeGreaterThan(runs / 10);
  expect(refused).toBeGreaterThan(runs / 20);
});

test("a schema fits itself", () => {
  fc.assert(
    fc.property(anySchema, (schema) => {
      expect(fits(schema, structuredClone(schema))).toEqual([]);
    }),
  );
});

const object = (
  properties: JsonSchemaObject,
  required: readonly string[] = [],
  more: JsonSchemaObject = {},
) => ({
  type: "object",
  properties,
  required,
  ...more,
});
const text = { type: "string" };
const number = { type: "number" };
const tagged = (t: string, more: JsonSchemaObject = {}, required: string[] = []) =>
  object({ t: { type: "string", const: t }, ...more }, ["t", ...required]);

describe("what is told", () => {
  test.each([
    [
      "a new property that is required",
      object({}),
      object({ email: text }, ["email"]),
      ["incompatible email required"],
    ],
    [
      "one that becomes required",
      object({ email: text }),
      object({ email: text }, ["email"]),
      ["incompatible email required"],
    ],
    ["a new property that is optional", object({}), object({ email: text }), []],
    ["a property that goes", object({ old: text }, ["old"]), object({}), []],
    [
      "a property that goes, where readers are strict",
      object({ old: text }),
      object({}, [], { additionalProperties: false }),
      ["incompatible old extra"],
    ],
    ["another type", object({ n: number }), object({ n: text }), ["incompatible n type"]],
    ["a wider type", { type: "integer" }, number, []],
    ["a narrower type", number, { type: "integer" }, ["incompatible  type"]],
    ["null that is new", text, { type: ["string", "null"] }, []],
    ["null that goes", { anyOf: [text, { type: "null" }] }, text, ["incompatible  value"]],
    ["OpenAPI's nullable", { ...text, nullable: true }, text, ["incompatible  type"]],
    ["a new value of an enum", { enum: ["a"] }, { enum: ["a", "b"] }, []],
    ["a value that goes", { enum: ["a", "b"] }, { enum: ["a"] }, ["incompatible  value"]],
    ["an enum that opens", { enum: ["a", "b"] }, text, []],
    ["a text that becomes an enum", text, { enum: ["a"] }, ["incompatible  value"]],
    [
      "bounds that widen",
      { type: "integer", minimum: 1, maximum: 5 },
      { type: "integer", exclusiveMinimum: 0 },
      [],
    ],
    ["bounds that narrow", number, { ...number, minimum: 0 }, ["incompatible  bound"]],
    ["a length that shrinks", { ...text, maxLength: 9 }, { ...text, maxLength: 5 }, ["incompatible  bound"]],
    ["a format that is new", text, { ...text, format: "email" }, ["incompatible  text"]],
    ["a format that goes", { ...text, format: "email" }, text, []],
    ["a pattern that changes", { ...text, pattern: "^a" }, { ...text, pattern: "^b" }, ["undecided  text"]],
    ["a pattern that stays", { ...text, pattern: "^a" }, { ...text, pattern: "^a", minLength: 0 }, []],
    [
      "an item",
      object({ lines: { type: "array", items: object({ price: number }) } }),
      object({ lines: { type: "array", items: object({ price: text }) } }),
      ["incompatible lines[].price type"],
    ],
    [
      "a tuple's place",
      { type: "array", prefixItems: [text, number], items: false },
      { type: "array", prefixItems: [text, text] },
      ["incompatible [1] type"],
    ],
    ["an alternative that is new", { oneOf: [tagged("x")] }, { oneOf: [tagged("x"), tagged("y")] }, []],
    [
      "an alternative that goes",
      { oneOf: [tagged("x"), tagged("y")] },
      { oneOf: [tagged("x")] },
      ["incompatible  union"],
    ],
    [
      "an alternative that goes, of three",
      { oneOf: [tagged("x"), tagged("y"), tagged("z")] },
      { oneOf: [tagged("x"), tagged("z")] },
      ["incompatible  union"],
    ],
    [
      "an alternative's property",
      { oneOf: [tagged("x"), tagged("y")] },
      { oneOf: [tagged("x"), tagged("y", { q: number }, ["q"])] },
      ["incompatible q required"],
    ],
    [
      "a discriminator of many values",
      object({ t: { enum: ["x", "y"] } }, ["t"]),
      { anyOf: [tagged("x"), tagged("y")] },
      [],
    ],
    [
      "alternatives of `oneOf` that overlap",
      text,
      { oneOf: [text, { type: ["string", "null"] }] },
      ["undecided  union"],
    ],
    [
      "parts of `allOf`",
      { allOf: [object({ a: text }, ["a"]), object({ b: text }, ["b"])] },
      object({ a: text, b: text }, ["a", "b"]),
      [],
    ],
    [
      "a map's values",
      { type: "object", additionalProperties: number },
      { type: "object", additionalProperties: text },
      ["incompatible {} type"],
    ],
    [
      "a map that meets a name",
      { type: "object", additionalProperties: number },
      object({ id: text }),
      ["incompatible id type"],
    ],
    ["a keyword that is not understood", text, { ...text, not: { const: "a" } }, ["undecided  keyword"]],
    [
      "one that stayed",
      { ...text, not: { const: "a" } },
      { ...text, not: { const: "a" }, maxLength: 99 },
      ["undecided  bound"],
    ],
    ["a reference out of the document", text, { $ref: "https://example.com/x.json" }, ["undecided  keyword"]],
  ] as [string, JsonSchema, JsonSchema, string[]][])("%s", (_, writer, reader, told) => {
    expect(fits(writer, reader).map(({ kind, path, code }) => `${kind} ${path} ${code}`)).toEqual(told);
  });

  test("a schema that contains itself", () => {
    const tree = (value: JsonSchema) => ({
      $ref: "#/$defs/Tree",
      $defs: { Tree: object({ value, next: { type: "array", items: { $ref: "#/$defs/Tree" } } }, ["value"]) },
    });
    expect(fits(tree(text), tree({ type: ["string", "null"] }))).toEqual([]);
    expect(fits(tree(number), tree(text)).map(({ path }) => path)).toEqual(["value", "next[].value"]);
  });
});
