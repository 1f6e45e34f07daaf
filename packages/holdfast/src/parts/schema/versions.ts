/**
 * `versions`: the schema of a message through its life, oldest first, and what has to hold between its versions.
 *
 * It is itself a Standard Schema, the newest one, so it goes wherever a part takes a `schema`. Each version also has
 * its JSON Schema, which is what can be compared, kept at the part's home, and committed beside the code.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { refuseProblems } from "../../call/index.ts";
import { fingerprintOf, isSchema, type JsonSchema } from "./json-schema.ts";

/**
 * - `backward`: the newest version can read what the one before wrote. Roll out readers first.
 * - `forward`: the version before can read what the newest writes. Roll out writers first.
 * - `full`: both, in any order.
 * - `…-transitive`: the same between the newest and every earlier version, not only the one before.
 * - `none`: nothing is compared.
 */
export type Compatibility =
  | "none"
  | "backward"
  | "forward"
  | "full"
  | "backward-transitive"
  | "forward-transitive"
  | "full-transitive";

const modes: readonly Compatibility[] = [
  "none",
  "backward",
  "forward",
  "full",
  "backward-transitive",
  "forward-transitive",
  "full-transitive",
];

/** One version: a Standard Schema, or one with what it cannot say itself. */
export type VersionOptions<Schema extends StandardSchemaV1> = Schema | VersionFields<Schema>;

export interface VersionFields<Schema extends StandardSchemaV1> {
  readonly schema: Schema;
  /**
   * What it lets be written and what it reads, as JSON Schema. Default: what the schema says of itself
   * (`~standard.jsonSchema`: Zod, ArkType, and Valibot through `toStandardJsonSchema`).
   */
  readonly jsonSchema?: JsonSchema | { readonly input: JsonSchema; readonly output: JsonSchema };
  /**
   * From a message of the version before to one of this version; then it need not be readable as it is. Called when
   * an older message is read, each time it is read.
   */
  upgrade?(old: unknown): StandardSchemaV1.InferInput<Schema>;
  /**
   * Places (`lines[].price`; empty for the message itself) where compatibility with this version cannot be decided,
   * and you have looked and answer for it. What is decided to be incompatible stays refused.
   */
  readonly accept?: readonly string[];
}

export interface VersionsOptions {
  /** Number of the first version in the list. Default 1. More once the oldest are dropped from the code. */
  readonly first?: number;
}

/** A version as it is kept and compared: plain data. */
export interface DescribedVersion {
  readonly version: number;
  /** What its readers take. `undefined` where nobody says. */
  readonly input: JsonSchema | undefined;
  /** What its writers send. */
  readonly output: JsonSchema | undefined;
  readonly fingerprint: string;
  /** Whether it upgrades messages of the version before. */
  readonly upgrades: boolean;
  readonly accept: readonly string[];
}

/** All versions that a part declares: plain data. */
export interface DescribedVersions {
  readonly compatibility: Compatibility;
  readonly versions: readonly DescribedVersion[];
}

export interface DeclaredVersion {
  readonly version: number;
  readonly schema: StandardSchemaV1;
  readonly upgrade: ((old: unknown) => unknown) | undefined;
}

const declared: unique symbol = Symbol("holdfast.versions");

export interface VersionedSchema<Input = unknown, Output = Input> extends StandardSchemaV1<Input, Output> {
  readonly [declared]: Versions;
}

/** What `versions` was given, resolved. */
export interface Versions {
  readonly description: DescribedVersions;
  /** Oldest first. */
  readonly list: readonly DeclaredVersion[];
  readonly newest: DeclaredVersion;
}

type Last<List extends readonly unknown[]> = List extends readonly [...unknown[], infer One] ? One : never;
type SchemaOf<Entry> = Entry extends StandardSchemaV1
  ? Entry
  : Entry extends { readonly schema: infer Schema extends StandardSchemaV1 }
    ? Schema
    : never;

/**
 * @param list the versions, oldest first; the last is what is written and what handlers get
 * @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once. Whether the versions are compatible is
 *   checked with the system that they are part of.
 */
export function versions<const List extends readonly VersionOptions<StandardSchemaV1>[]>(
  compatibility: Compatibility,
  list: List,
  options: VersionsOptions = {},
): VersionedSchema<
  StandardSchemaV1.InferInput<SchemaOf<Last<List>>>,
  StandardSchemaV1.InferOutput<SchemaOf<Last<List>>>
> {
  const { first = 1 } = options;
  const problems: string[] = [];
  if (!modes.includes(compatibility))
    problems.push(`compatibility should be one of ${modes.join(", ")}, got ${JSON.stringify(compatibility)}`);
  if (!(Number.isInteger(first) && first >= 1 && first <= 1_000_000))
    problems.push(`first should be a whole number from 1 to 1000000, got ${first}`);
  if (!Array.isArray(list) || list.length === 0)
    problems.push("versions should be a list of at least one schema");
  const entries = (Array.isArray(list) ? list : []).map((entry, index) =>
    fieldsOf(entry, first + index, problems),
  );
  const described = entries.map((fields, index) => describe(fields, first + index, compatibility, problems));
  refuseProblems("HOLDFAST_OPTIONS_INVALID", "versions", problems);
  const resolved = entries.map(({ schema, upgrade }, index) => ({
    version: first + index,
    schema,
    upgrade: upgrade && ((old: unknown) => upgrade(old)),
  }));
  const newest = resolved.at(-1) as DeclaredVersion;
  const own: Versions = { description: { compatibility, versions: described }, list: resolved, newest };
  return { "~standard": newest.schema["~standard"], [declared]: own } as never;
}

/** What `versions` was given; `undefined` for any other schema. */
export function versionsOf(schema: StandardSchemaV1): Versions | undefined {
  return (schema as Partial<VersionedSchema>)[declared];
}

function fieldsOf(entry: unknown, version: number, problems: string[]): VersionFields<StandardSchemaV1> {
  const isStandard = (one: unknown): one is StandardSchemaV1 =>
    typeof (one as StandardSchemaV1 | undefined)?.["~standard"]?.validate === "function";
  if (isStandard(entry)) return { schema: entry };
  const fields = entry as VersionFields<StandardSchemaV1>;
  if (!isStandard(fields?.schema)) {
    problems.push(`version ${version} should be a Standard Schema, or { schema } with one`);
  }
  const { upgrade, accept } = fields ?? {};
  if (upgrade !== undefined && typeof upgrade !== "function")
    problems.push(`version ${version}: upgrade should be a function from a message of the version before`);
  if (accept !== undefined && !(Array.isArray(accept) && accept.every((one) => typeof one === "string")))
    problems.push(`version ${version}: accept should be a list of places such as "lines[].price"`);
  return fields ?? {};
}

function describe(
  fields: VersionFields<StandardSchemaV1>,
  version: number,
  compatibility: Compatibility,
  problems: string[],
): DescribedVersion {
  const sides = jsonSchemaOf(fields, version, problems);
  const vendor = fields.schema?.["~standard"]?.vendor;
  if (!sides && compatibility !== "none" && vendor !== undefined) {
    problems.push(
      `version ${version} has no JSON Schema, so it cannot be compared: ${howToGet(vendor)}, or give \`jsonSchema\` beside the schema, or declare compatibility "none"`,
    );
  }
  return {
    version,
    input: sides?.input,
    output: sides?.output,
    fingerprint: fingerprintOf(sides ?? { version }),
    upgrades: fields.upgrade !== undefined,
    accept: fields.accept ?? [],
  };
}

const target = { target: "draft-2020-12" } as const;

interface Sides {
  readonly input: JsonSchema;
  readonly output: JsonSchema;
}

function jsonSchemaOf(
  { schema, jsonSchema: given }: VersionFields<StandardSchemaV1>,
  version: number,
  problems: string[],
): Sides | undefined {
  if (given !== undefined) {
    const sides =
      typeof given === "object" && "input" in given && "output" in given
        ? given
        : { input: given, output: given };
    const plain = plainSides(sides as Sides);
    if (!plain)
      problems.push(`version ${version}: jsonSchema should be a JSON Schema, or { input, output } with two`);
    return plain;
  }
  const converter = (schema?.["~standard"] as { jsonSchema?: Converter } | undefined)?.jsonSchema;
  if (typeof converter?.input !== "function" || typeof converter.output !== "function") return undefined;
  try {
    return plainSides({ input: converter.input(target), output: converter.output(target) });
  } catch (error) {
    problems.push(
      `version ${version} cannot be told as JSON Schema (${(error as Error).message}): give \`jsonSchema\` beside the schema`,
    );
    return { input: true, output: true };
  }
}

/** @see StandardJSONSchemaV1 of @standard-schema/spec 1.1 */
interface Converter {
  input(options: typeof target): JsonSchema;
  output(options: typeof target): JsonSchema;
}

/** As JSON: what is kept and sent is nothing else. */
function plainSides({ input, output }: Sides): Sides | undefined {
  return isSchema(input) && isSchema(output) ? JSON.parse(JSON.stringify({ input, output })) : undefined;
}

function howToGet(vendor: string): string {
  if (vendor === "valibot") return "wrap it in `toStandardJsonSchema` of @valibot/to-json-schema";
  if (vendor === "zod") return "use Zod 4.2 or newer";
  if (vendor === "arktype") return "use ArkType 2.1.28 or newer";
  return "use a library that has StandardJSONSchemaV1";
}
