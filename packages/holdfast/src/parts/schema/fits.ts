/**
 * Whether everything that one schema lets be written can be read by another: the heart of compatibility.
 *
 * Pure, and careful in one direction: what it finds nothing against fits. `incompatible` means that values exist that
 * do not fit; `undecided`, that it depends on a keyword that is not understood, or on more than is looked at here.
 *
 * Decided: `type`, `enum`, `const`, `nullable`, bounds of numbers, lengths and counts, `multipleOf`, `properties`,
 * `required`, `additionalProperties`, `propertyNames`, `items`, `prefixItems`, `uniqueItems`, `anyOf`, `oneOf` (apart
 * by type or by a discriminator), `allOf`, `$ref` within the document, recursion. `pattern`, `format`,
 * `patternProperties` and all others: only whether they stayed the same.
 *
 * A property that the writer's schema does not name is not written, unless `additionalProperties` says otherwise, or it
 * names none at all: a schema describes what its writers send. A reader's schema is taken by the letter.
 *
 * @see Confluent, "Schema Evolution and Compatibility", for the meaning of the modes that are built on this
 */
import { accepts } from "./accepts.ts";
import { finiteValues } from "./disjoint.ts";
import { type Comparison, type Finding, incompatible, undecided } from "./finding.ts";
import { arrayFindings } from "./fits-array.ts";
import { objectFindings } from "./fits-object.ts";
import { numberFindings, stringFindings } from "./fits-scalar.ts";
import { unionFindings } from "./fits-union.ts";
import { documentNode, isObject, type JsonSchema, type SchemaNode, sameJson } from "./json-schema.ts";
import { choose, type JsonType, type Shape, shapeOf } from "./shape.ts";

/** Steps before it gives up: schemas of messages take a few hundred. */
const stepsMax = 20_000;

/**
 * @param writer what is written
 * @param reader what can be read
 * @returns nothing, when every value that fits `writer` fits `reader`
 */
export function fits(writer: JsonSchema, reader: JsonSchema): Finding[] {
  const ids = new Map<unknown, number>();
  const idOf = ({ schema }: SchemaNode) => {
    const id = ids.get(schema) ?? ids.size;
    ids.set(schema, id);
    return id;
  };
  const underWay = new Set<string>();
  let steps = 0;

  const check: Comparison["check"] = (writers, reader, path) => {
    if (++steps > stepsMax) return [undecided(path, "depth", "the schemas are too large to be compared")];
    // The same question inside itself: of finite values it is answered by the outer one.
    const key = `${writers.map(idOf).join(",")} ${idOf(reader)}`;
    if (underWay.has(key)) return [];
    if (writers.length === 1 && same(writers[0] as SchemaNode, reader)) return [];
    underWay.add(key);
    try {
      return unique(compare({ check }, shapeOf(writers), reader, path));
    } finally {
      underWay.delete(key);
    }
  };
  return check([documentNode(writer)], documentNode(reader), "");
}

function compare(comparison: Comparison, writer: Shape, node: SchemaNode, path: string): Finding[] {
  if (writer.types.size === 0) return [];
  const reader = shapeOf([node]);
  const values = finiteValues(writer);
  if (values) return valueFindings(writer, values, node, path);
  const [union] = writer.alternatives;
  if (union) {
    return union.nodes.flatMap((choice) => comparison.check(choose(writer, union, choice), node, path));
  }
  const groups = typeGroups(writer);
  if (groups.length > 1 && (reader.alternatives.length > 0 || reader.values)) {
    return groups.flatMap((type) => comparison.check([...writer.flat, typeNode(type)], node, path));
  }
  const findings: Finding[] = [];
  if (reader.values) {
    const list = reader.values.map((value) => JSON.stringify(value)).join(", ");
    findings.push(
      incompatible(path, "value", `any ${wordsOf(groups)} is written, and only ${list} can be read`),
    );
  }
  for (const alternatives of reader.alternatives)
    findings.push(...unionFindings(comparison, writer, alternatives, path));
  const refused = [...writer.types].filter((type) => !reader.types.has(type));
  if (refused.length > 0) {
    const read = reader.types.size === 0 ? "nothing" : wordsOf(typeGroups(reader));
    findings.push(
      incompatible(path, "type", `${wordsOf(refused.map(groupOf))} is written, and ${read} can be read`),
    );
  }
  const common = (...types: JsonType[]) =>
    types.some((type) => writer.types.has(type) && reader.types.has(type));
  if (common("integer", "fraction")) findings.push(...numberFindings(writer, reader, path));
  if (common("string")) findings.push(...stringFindings(writer, reader, path));
  if (common("array")) findings.push(...arrayFindings(comparison, writer, reader, path));
  if (common("object")) findings.push(...objectFindings(comparison, writer, reader, path));
  for (const [keyword, value] of reader.opaque) {
    if (writer.opaque.has(keyword) && sameJson(writer.opaque.get(keyword), value)) continue;
    findings.push(
      undecided(path, "keyword", `what \`${keyword}\` asks of readers' values is not understood here`),
    );
  }
  // What is written may be less than it seems.
  if (writer.opaque.size > 0) return findings.map((finding) => ({ ...finding, kind: "undecided" }));
  return findings;
}

/** Few values: each is tried. */
function valueFindings(writer: Shape, values: readonly unknown[], node: SchemaNode, path: string): Finding[] {
  return values.flatMap((value) => {
    const written = accepts(writer.flat, value);
    const read = accepts([node], value);
    if (written === false || read === true) return [];
    const text = JSON.stringify(value);
    if (written === true && read === false)
      return [incompatible(path, "value", `${text} is written, and cannot be read`)];
    return [undecided(path, "value", `whether ${text} can be read is not understood here`)];
  });
}

/** Word for word the same, and with the same definitions. */
function same(a: SchemaNode, b: SchemaNode): boolean {
  if (!sameJson(a.schema, b.schema)) return false;
  const texts = JSON.stringify([a.schema, definitions(a.root)]);
  const refs = [...texts.matchAll(/"\$ref":"([^"]*)"/g)].map(([, ref]) => ref as string);
  if (refs.length === 0 || a.root === b.root || sameJson(a.root, b.root)) return true;
  const apart = refs.every((ref) => /^#\/(\$defs|definitions)\//.test(ref));
  return apart && sameJson(definitions(a.root), definitions(b.root));
}

function definitions(root: JsonSchema): unknown {
  return isObject(root) ? [root.$defs ?? null, root.definitions ?? null] : [];
}

type TypeGroup = "null" | "boolean" | "number" | "integer" | "string" | "array" | "object";

function groupOf(type: JsonType): TypeGroup {
  return type === "fraction" ? "number" : type;
}

function typeGroups({ types }: Shape): TypeGroup[] {
  return [...types].filter((type) => !(type === "integer" && types.has("fraction"))).map(groupOf);
}

function typeNode(type: TypeGroup): SchemaNode {
  return { schema: { type }, root: true };
}

function wordsOf(groups: readonly TypeGroup[]): string {
  return [...new Set(groups)].join(" or ");
}

function unique(findings: readonly Finding[]): Finding[] {
  const seen = new Map<string, Finding>();
  for (const finding of findings) {
    const key = `${finding.path} ${finding.reason}`;
    const known = seen.get(key);
    if (!known || known.kind === "undecided") seen.set(key, finding);
  }
  return [...seen.values()];
}
