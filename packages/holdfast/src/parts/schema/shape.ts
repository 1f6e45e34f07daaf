/**
 * What a list of schemas, all of which a value has to fit, says about the value: one flat record.
 *
 * `$ref` and `allOf` are followed, so that what is left are facts side by side: types, bounds, properties, and unions
 * that are still to be chosen from. A keyword that is not understood is kept as it is, so that nobody forgets it.
 */
import {
  isAnnotation,
  isObject,
  isSchema,
  type JsonSchemaObject,
  resolveRef,
  type SchemaNode,
} from "./json-schema.ts";

/** `integer` and `fraction` together are JSON Schema's `number`. */
export type JsonType = "null" | "boolean" | "integer" | "fraction" | "string" | "array" | "object";

export const allTypes: readonly JsonType[] = [
  "null",
  "boolean",
  "integer",
  "fraction",
  "string",
  "array",
  "object",
];

export interface Bound {
  readonly value: number;
  readonly exclusive: boolean;
}

/** What one of the schemas says about objects. */
export interface ObjectFacts {
  /** Whether it names properties, be it none. */
  readonly named: boolean;
  readonly properties: ReadonlyMap<string, SchemaNode>;
  readonly patterns: readonly { readonly pattern: string; readonly node: SchemaNode }[];
  /** Of properties that it does not name. `undefined`: it does not say. */
  readonly additional: SchemaNode | undefined;
}

/** What one of the schemas says about arrays. */
export interface ArrayFacts {
  readonly prefix: readonly SchemaNode[];
  readonly items: SchemaNode | undefined;
}

/** A union: which of the flat schemas has it, under which keyword. */
export interface Alternatives {
  readonly at: number;
  readonly keyword: "anyOf" | "oneOf";
  readonly nodes: readonly SchemaNode[];
}

export interface Shape {
  /** The schemas behind `$ref` and `allOf`, without those keywords. */
  readonly flat: readonly SchemaNode[];
  readonly types: ReadonlySet<JsonType>;
  /** Of `enum` and `const`: no other value is possible. */
  readonly values: readonly unknown[] | undefined;
  readonly minimum: Bound | undefined;
  readonly maximum: Bound | undefined;
  readonly multiplesOf: readonly number[];
  readonly minLength: number;
  readonly maxLength: number;
  readonly patterns: ReadonlySet<string>;
  readonly formats: ReadonlySet<string>;
  readonly arrays: readonly ArrayFacts[];
  readonly minItems: number;
  readonly maxItems: number;
  readonly uniqueItems: boolean;
  readonly objects: readonly ObjectFacts[];
  readonly required: ReadonlySet<string>;
  readonly names: readonly SchemaNode[];
  readonly minProperties: number;
  readonly maxProperties: number;
  readonly alternatives: readonly Alternatives[];
  /** Keywords that are not understood, with their values. */
  readonly opaque: ReadonlyMap<string, unknown>;
}

type Mutable<T> = {
  -readonly [key in keyof T]: T[key] extends ReadonlyMap<infer K, infer V>
    ? Map<K, V>
    : T[key] extends ReadonlySet<infer U>
      ? Set<U>
      : T[key] extends readonly (infer U)[]
        ? U[]
        : T[key];
};

/** @param nodes schemas that all have to hold */
export function shapeOf(nodes: readonly SchemaNode[]): Shape {
  const shape: Mutable<Shape> = {
    flat: [],
    types: new Set(allTypes),
    values: undefined,
    minimum: undefined,
    maximum: undefined,
    multiplesOf: [],
    minLength: 0,
    maxLength: Number.POSITIVE_INFINITY,
    patterns: new Set(),
    formats: new Set(),
    arrays: [],
    minItems: 0,
    maxItems: Number.POSITIVE_INFINITY,
    uniqueItems: false,
    objects: [],
    required: new Set(),
    names: [],
    minProperties: 0,
    maxProperties: Number.POSITIVE_INFINITY,
    alternatives: [],
    opaque: new Map(),
  };
  for (const node of flatten(nodes, shape.opaque)) add(shape, node);
  return shape;
}

/** Follows `$ref` and `allOf`. A circle of them says nothing beyond its members. */
function flatten(nodes: readonly SchemaNode[], opaque: Map<string, unknown>): SchemaNode[] {
  const flat: SchemaNode[] = [];
  const seen = new Set<unknown>();
  const visit = ({ schema, root }: SchemaNode): void => {
    if (typeof schema === "boolean") {
      flat.push({ schema, root });
      return;
    }
    if (seen.has(schema)) return;
    seen.add(schema);
    const { $ref, allOf, ...rest } = schema;
    if ($ref !== undefined) {
      const target = resolveRef($ref, root);
      if (target === undefined) opaque.set(`$ref ${String($ref)}`, $ref);
      else visit({ schema: target, root });
    }
    if (Array.isArray(allOf)) for (const one of allOf) if (isSchema(one)) visit({ schema: one, root });
    const same = $ref === undefined && allOf === undefined;
    flat.push({ schema: same ? schema : rest, root });
  };
  for (const node of nodes) visit(node);
  return flat;
}

function add(shape: Mutable<Shape>, node: SchemaNode): void {
  const { schema, root } = node;
  shape.flat.push(node);
  if (schema === true) return;
  if (schema === false) {
    shape.types.clear();
    return;
  }
  addTypes(shape, schema);
  addObject(shape, schema, root);
  addArray(shape, schema, root);
  for (const [keyword, value] of Object.entries(schema)) {
    if (value === undefined || isAnnotation(keyword)) continue;
    const read = readers[keyword];
    if (read) read(shape, value, schema, root);
    else if (!structural.has(keyword)) shape.opaque.set(keyword, value);
  }
}

/** Read elsewhere in this file, or a place for definitions only. */
const structural = new Set([
  "type",
  "nullable",
  "properties",
  "patternProperties",
  "additionalProperties",
  "items",
  "prefixItems",
  "additionalItems",
  "$defs",
  "definitions",
]);

function addTypes(shape: Mutable<Shape>, schema: JsonSchemaObject): void {
  if (schema.type === undefined) return;
  const named = new Set<unknown>(Array.isArray(schema.type) ? schema.type : [schema.type]);
  if (schema.nullable === true) named.add("null");
  if (named.has("number")) named.add("integer").add("fraction");
  for (const type of allTypes) if (!named.has(type)) shape.types.delete(type);
}

function addObject(shape: Mutable<Shape>, schema: JsonSchemaObject, root: SchemaNode["root"]): void {
  const { properties, patternProperties, additionalProperties } = schema;
  if (properties === undefined && patternProperties === undefined && additionalProperties === undefined)
    return;
  const nodes = (of: unknown) =>
    isObject(of)
      ? Object.entries(of).flatMap(([name, one]) =>
          isSchema(one) ? [[name, { schema: one, root }] as const] : [],
        )
      : [];
  const unreadable = nodes(patternProperties).some(([pattern]) => matches(pattern, "") === undefined);
  if (unreadable) shape.opaque.set("patternProperties", patternProperties);
  shape.objects.push({
    named: properties !== undefined,
    properties: new Map(nodes(properties)),
    patterns: nodes(patternProperties).map(([pattern, node]) => ({ pattern, node })),
    additional: isSchema(additionalProperties) ? { schema: additionalProperties, root } : undefined,
  });
}

function addArray(shape: Mutable<Shape>, schema: JsonSchemaObject, root: SchemaNode["root"]): void {
  const { items, prefixItems, additionalItems } = schema;
  const node = (one: unknown): SchemaNode[] => (isSchema(one) ? [{ schema: one, root }] : []);
  // Up to draft 2019-09 a tuple was `items: [ … ]` with `additionalItems`.
  const [prefix, rest] = Array.isArray(items) ? [items, additionalItems] : [prefixItems, items];
  if (prefix === undefined && rest === undefined) return;
  shape.arrays.push({
    prefix: Array.isArray(prefix) ? prefix.flatMap(node) : [],
    items: node(rest)[0],
  });
}

type Reader = (
  shape: Mutable<Shape>,
  value: unknown,
  schema: JsonSchemaObject,
  root: SchemaNode["root"],
) => void;

const readers: Readonly<Record<string, Reader>> = {
  enum: (shape, value) => addValues(shape, Array.isArray(value) ? value : []),
  const: (shape, value) => addValues(shape, [value]),
  minimum: (shape, value, schema) => raise(shape, value, schema.exclusiveMinimum === true),
  maximum: (shape, value, schema) => lower(shape, value, schema.exclusiveMaximum === true),
  // Draft 4 wrote `true` beside `minimum`.
  exclusiveMinimum: (shape, value) => raise(shape, value, true),
  exclusiveMaximum: (shape, value) => lower(shape, value, true),
  multipleOf: (shape, value) => {
    if (typeof value === "number") shape.multiplesOf.push(value);
  },
  minLength: atLeast("minLength"),
  maxLength: atMost("maxLength"),
  pattern: (shape, value) => {
    shape.patterns.add(String(value));
  },
  format: (shape, value) => {
    shape.formats.add(String(value));
  },
  minItems: atLeast("minItems"),
  maxItems: atMost("maxItems"),
  uniqueItems: (shape, value) => {
    if (value === true) shape.uniqueItems = true;
  },
  required: (shape, value) => {
    if (Array.isArray(value)) for (const name of value) shape.required.add(String(name));
  },
  propertyNames: (shape, value, _, root) => {
    if (isSchema(value)) shape.names.push({ schema: value, root });
  },
  minProperties: atLeast("minProperties"),
  maxProperties: atMost("maxProperties"),
  anyOf: (shape, value, _, root) => addAlternatives(shape, "anyOf", value, root),
  oneOf: (shape, value, _, root) => addAlternatives(shape, "oneOf", value, root),
};

function atLeast(field: "minLength" | "minItems" | "minProperties"): Reader {
  return (shape, value) => {
    shape[field] = Math.max(shape[field], Number(value));
  };
}

function atMost(field: "maxLength" | "maxItems" | "maxProperties"): Reader {
  return (shape, value) => {
    shape[field] = Math.min(shape[field], Number(value));
  };
}

function addValues(shape: Mutable<Shape>, values: readonly unknown[]): void {
  const known = new Set(values.map((value) => JSON.stringify(value)));
  shape.values = shape.values?.filter((value) => known.has(JSON.stringify(value))) ?? [...values];
}

function raise(shape: Mutable<Shape>, value: unknown, exclusive: boolean): void {
  const { minimum } = shape;
  if (typeof value !== "number") return;
  if (!minimum || value > minimum.value || (value === minimum.value && exclusive))
    shape.minimum = { value, exclusive };
}

function lower(shape: Mutable<Shape>, value: unknown, exclusive: boolean): void {
  const { maximum } = shape;
  if (typeof value !== "number") return;
  if (!maximum || value < maximum.value || (value === maximum.value && exclusive))
    shape.maximum = { value, exclusive };
}

function addAlternatives(
  shape: Mutable<Shape>,
  keyword: "anyOf" | "oneOf",
  value: unknown,
  root: SchemaNode["root"],
): void {
  if (!Array.isArray(value)) return;
  const nodes = value.filter(isSchema).map((schema) => ({ schema, root }));
  shape.alternatives.push({ at: shape.flat.length - 1, keyword, nodes });
}

/** The schemas of the shape, with one of its unions decided for `choice`. */
export function choose(shape: Shape, union: Alternatives, choice: SchemaNode): SchemaNode[] {
  const rest = shape.flat.map((node, index) => {
    if (index !== union.at || typeof node.schema === "boolean") return node;
    const { [union.keyword]: _, ...schema } = node.schema;
    return { ...node, schema };
  });
  return [...rest, choice];
}

/** What the property has to fit. `undefined` where nothing is said about it. */
export function propertyNodes(shape: Shape, name: string): SchemaNode[] | undefined {
  const nodes: SchemaNode[] = [];
  for (const { properties, patterns, additional } of shape.objects) {
    const own = properties.get(name);
    const matching = patterns
      .filter(({ pattern }) => matches(pattern, name) !== false)
      .map(({ node }) => node);
    if (own) nodes.push(own);
    nodes.push(...matching);
    if (!own && matching.length === 0 && additional) nodes.push(additional);
  }
  return nodes.length > 0 ? nodes : undefined;
}

/** What the item at `index` has to fit. */
export function itemNodes(shape: Shape, index: number): SchemaNode[] {
  return shape.arrays.flatMap(({ prefix, items }) => prefix[index] ?? items ?? []);
}

/** Whether `text` has a match of the pattern; `undefined` when the pattern is none of this language. */
export function matches(pattern: string, text: string): boolean | undefined {
  try {
    return new RegExp(pattern, "u").test(text);
  } catch {
    return undefined;
  }
}
