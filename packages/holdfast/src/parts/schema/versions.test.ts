import { toStandardJsonSchema } from "@valibot/to-json-schema";
import { type } from "arktype";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { compatibilityFindings, hopsBetween, pairsToCompare } from "./compatibility.ts";
import { readMessage } from "./read-message.ts";
import { versionProblems } from "./registration.ts";
import { type Versions, versions, versionsOf } from "./versions.ts";

const of = (...args: Parameters<typeof versions>) => versionsOf(versions(...args)) as Versions;
const listed = (...upgrades: boolean[]) =>
  upgrades.map((upgrades, index) => ({ version: index + 1, upgrades }));
const texts = (pairs: readonly { writer: number; reader: number }[]) =>
  pairs.map(({ writer, reader }) => `${writer}→${reader}`);

describe("declaring", () => {
  test("it is the newest schema, by type and at run time", () => {
    const schema = versions("full", [
      z.object({ a: z.string() }),
      z.object({ a: z.string(), b: z.number().default(1) }),
    ]);
    const output: { a: string; b: number } = undefined as unknown as NonNullable<
      (typeof schema)["~standard"]["types"]
    >["output"];
    expect(output).toBeUndefined();
    expect(schema["~standard"].validate({ a: "x" })).toEqual({ value: { a: "x", b: 1 } });
  });

  test("every problem is told at once", () => {
    const plain = v.object({ a: v.string() });
    expect(() =>
      versions("sideways" as never, [plain, {} as never, { schema: plain, accept: "a" as never }], {
        first: 0,
      }),
    ).toThrow(
      expect.objectContaining({
        code: "HOLDFAST_OPTIONS_INVALID",
        data: {
          problems: [
            expect.stringMatching(/^compatibility should be one of none, backward, .* got "sideways"$/),
            "first should be a whole number from 1 to 1000000, got 0",
            "version 1 should be a Standard Schema, or { schema } with one",
            expect.stringMatching(/^version 2: accept should be a list of places/),
            expect.stringMatching(/^version 0 has no JSON Schema, .*of @valibot/),
            expect.stringMatching(/^version 2 has no JSON Schema/),
          ],
        },
      }),
    );
  });

  test("a schema that no JSON Schema can say needs one beside it", () => {
    const big = z.object({ n: z.bigint() });
    expect(() => versions("full", [big])).toThrow(/version 1 cannot be told as JSON Schema .*BigInt/);
    const beside = versions("full", [
      { schema: big, jsonSchema: { type: "object", properties: { n: { type: "string" } } } },
    ]);
    expect(versionsOf(beside)?.description.versions[0]?.output).toEqual({
      type: "object",
      properties: { n: { type: "string" } },
    });
    expect(versionsOf(versions("none", [v.string()]))?.description.versions[0]?.input).toBeUndefined();
  });
});

test.each([
  [
    "zod",
    z.object({ id: z.string(), n: z.int().min(0) }),
    z.object({ id: z.string(), n: z.int().min(0), email: z.email() }),
    z.object({ id: z.string(), n: z.int().min(0), email: z.email().optional() }),
  ],
  [
    "arktype",
    type({ id: "string", n: "number.integer>=0" }),
    type({ id: "string", n: "number.integer>=0", email: "string.email" }),
    type({ id: "string", n: "number.integer>=0", "email?": "string.email" }),
  ],
  [
    "valibot",
    toStandardJsonSchema(v.object({ id: v.string(), n: v.pipe(v.number(), v.integer(), v.minValue(0)) })),
    toStandardJsonSchema(
      v.object({
        id: v.string(),
        n: v.pipe(v.number(), v.integer(), v.minValue(0)),
        email: v.pipe(v.string(), v.email()),
      }),
    ),
    toStandardJsonSchema(
      v.object({
        id: v.string(),
        n: v.pipe(v.number(), v.integer(), v.minValue(0)),
        email: v.optional(v.pipe(v.string(), v.email())),
      }),
    ),
  ],
])(
  "%s: a required property is forward compatible only, an optional one both ways",
  (_, before, required, optional) => {
    expect(versionProblems(of("forward", [before, required]).description)).toEqual([]);
    expect(versionProblems(of("full", [before, optional]).description)).toEqual([]);
    expect(versionProblems(of("backward", [before, required]).description)).toEqual([
      "version 2 cannot read what version 1 writes: `email`: need not be written, and has to be there to be read. Give it a default or make it optional, or give version 2 an `upgrade` that fills it in.",
    ]);
  },
);

test("each mode compares its pairs", () => {
  const three = listed(false, false, false);
  expect(texts(pairsToCompare("backward", three, 3))).toEqual(["2→3"]);
  expect(texts(pairsToCompare("forward", three, 3))).toEqual(["3→2"]);
  expect(texts(pairsToCompare("full", three, 3))).toEqual(["2→3", "3→2"]);
  expect(texts(pairsToCompare("backward-transitive", three, 3))).toEqual(["1→3", "2→3"]);
  expect(texts(pairsToCompare("full-transitive", three, 3))).toEqual(["1→3", "3→1", "2→3", "3→2"]);
  expect(pairsToCompare("none", three, 3)).toEqual([]);
  // Version 3 is registered, and this process knows two: it was rolled back.
  expect(texts(pairsToCompare("full", three, 2))).toEqual(["1→2", "2→1", "3→2"]);
});

test("an upgrade takes the place of compatibility at its step", () => {
  expect(hopsBetween(listed(false, true), 1, 2)).toEqual([]);
  expect(texts(hopsBetween(listed(false, false, true, false), 1, 4))).toEqual(["1→2", "3→4"]);
  const entries = [
    z.object({ a: z.string() }),
    { schema: z.object({ b: z.string() }), upgrade: () => ({ b: "" }) },
  ];
  expect(versionProblems(of("backward", entries).description)).toEqual([]);
  // Old readers have no upgrade for what comes later.
  expect(versionProblems(of("full", entries).description)[0]).toMatch(
    /^version 1 cannot read what version 2 writes: `a`/,
  );
});

test("what cannot be decided is told, and can be accepted by its place; what is incompatible cannot", () => {
  const one = z.object({ code: z.string().regex(/^[a-f]+$/), n: z.number() });
  const two = z.object({ code: z.string().regex(/^[a-z]+$/), n: z.string() });
  const found = (accept: string[]) =>
    compatibilityFindings(of("backward", [one, { schema: two, accept }]).description).map(
      ({ kind, path }) => `${kind} ${path}`,
    );
  expect(found([])).toEqual(["undecided code", "incompatible n"]);
  expect(found(["code", "n"])).toEqual(["incompatible n"]);
  expect(versionProblems(of("backward", [one, two]).description)[0]).toMatch(
    /If you know that it can, add "code" to `accept` of version 2\.$/,
  );
});

test("versions that the code has dropped are compared as they were registered", () => {
  const kept = of("full", [z.object({ a: z.string() }), z.object({ a: z.string() })]).description.versions;
  const now = of("backward-transitive", [z.object({ a: z.number() })], { first: 3 }).description;
  expect(versionProblems(now, kept).map((text) => text.slice(0, 46))).toEqual([
    "version 3 cannot read what version 1 writes: `",
    "version 3 cannot read what version 2 writes: `",
  ]);
  const changed = of("full", [z.object({ a: z.int() })]).description;
  expect(versionProblems(changed, kept)[0]).toMatch(
    /^version 1 is declared otherwise than it was registered: .* declare the change as version 3\.$/,
  );
});

describe("reading", () => {
  const message = { part: 'topic "orders"', id: "7" };
  const history = of("none", [
    z.object({ total: z.number() }),
    {
      schema: z.object({ cents: z.int() }),
      upgrade: (old) => ({ cents: (old as { total: number }).total * 100 }),
    },
    z.object({ cents: z.int(), currency: z.string().default("EUR") }),
  ]);

  test("goes through upgrades, then the newest schema; a message without a version is of the first", async () => {
    expect(await readMessage(history, { ...message, value: { total: 2 }, version: undefined })).toEqual({
      cents: 200,
      currency: "EUR",
    });
    expect(await readMessage(history, { ...message, value: { cents: 5 }, version: 2 })).toEqual({
      cents: 5,
      currency: "EUR",
    });
  });

  test("leaves what has the newest version as it is", async () => {
    const value = { cents: 5, currency: "USD" };
    expect(await readMessage(history, { ...message, value, version: 3 })).toBe(value);
  });

  test("tells what does not fit, and what an upgrade throws", async () => {
    await expect(
      readMessage(history, { ...message, value: { total: 0.001 }, version: 1 }),
    ).rejects.toMatchObject({
      code: "HOLDFAST_SCHEMA_MISMATCH",
      message: expect.stringContaining("does not fit version 2: cents:"),
    });
    await expect(readMessage(history, { ...message, value: null, version: 1 })).rejects.toThrow(
      /its upgrade to version 2 threw: .*null/,
    );
    await expect(readMessage(history, { ...message, value: {}, version: 4 })).rejects.toThrow(
      /written with version 4 and does not fit version 3/,
    );
  });
});
