/**
 * JSON Schema as data: what every Standard Schema library can say of itself, and the only thing about a schema that
 * can be kept, compared and shown.
 *
 * A node is a schema together with the document it stands in, because its `$ref`s point into that document.
 */
import { createHash } from "node:crypto";

export type JsonSchema = boolean | JsonSchemaObject;
export type JsonSchemaObject = { readonly [keyword: string]: unknown };

export interface SchemaNode {
  readonly schema: JsonSchema;
  /** The document: where `#` points to. */
  readonly root: JsonSchema;
}

/** A schema's document as a node. */
export function documentNode(schema: JsonSchema): SchemaNode {
  return { schema, root: schema };
}

export function isSchema(value: unknown): value is JsonSchema {
  return typeof value === "boolean" || isObject(value);
}

export function isObject(value: unknown): value is JsonSchemaObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Follows `#`, `#/$defs/Name` and the like. `undefined` for what points elsewhere, or nowhere. */
export function resolveRef(ref: unknown, root: JsonSchema): JsonSchema | undefined {
  if (typeof ref !== "string" || !(ref === "#" || ref.startsWith("#/"))) return undefined;
  let at: unknown = root;
  for (const step of ref.split("/").slice(1)) {
    const key = decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<string, unknown>)[key];
  }
  return isSchema(at) ? at : undefined;
}

/** Words for people: they say nothing about which values fit. */
const annotations = new Set([
  "$schema",
  "$id",
  "$comment",
  "title",
  "description",
  "default",
  "examples",
  "example",
  "deprecated",
  "readOnly",
  "writeOnly",
]);

export function isAnnotation(keyword: string): boolean {
  return annotations.has(keyword);
}

/** The same text for the same JSON, whatever the order of its keys. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${entries.map(([key, one]) => `${JSON.stringify(key)}:${canonicalJson(one)}`).join(",")}}`;
}

export function sameJson(a: unknown, b: unknown): boolean {
  return a === b || canonicalJson(a) === canonicalJson(b);
}

/** Sixteen hexadecimal digits of SHA-256 over the canonical text. */
export function fingerprintOf(value: unknown): string {
  return createHash("sha256").update(canonicalJson(value)).digest("hex").slice(0, 16);
}
