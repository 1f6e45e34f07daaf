/** Whether one value fits: yes, no, or nobody can say. For the values of `enum` and `const`, which are few. */
import { isObject, type SchemaNode, sameJson } from "./json-schema.ts";
import { itemNodes, type JsonType, matches, propertyNodes, type Shape, shapeOf } from "./shape.ts";

const depthMax = 32;

/**
 * @param nodes schemas that all have to hold
 * @returns `undefined` when it depends on a keyword that is not understood
 */
export function accepts(nodes: readonly SchemaNode[], value: unknown, depth = 0): boolean | undefined {
  if (depth > depthMax) return undefined;
  const shape = shapeOf(nodes);
  return every([
    shape.types.has(typeOf(value)),
    shape.values === undefined || shape.values.some((one) => sameJson(one, value)),
    typeof value === "number" ? fitsNumber(shape, value) : true,
    typeof value === "string" ? fitsString(shape, value) : true,
    Array.isArray(value) ? fitsArray(shape, value, depth) : true,
    isObject(value) ? fitsObject(shape, value, depth) : true,
    ...shape.alternatives.map(({ keyword, nodes }) => {
      const answers = nodes.map((node) => accepts([node], value, depth + 1));
      if (keyword === "anyOf") return some(answers);
      const sure = answers.filter((answer) => answer === true).length;
      if (answers.includes(undefined)) return sure > 1 ? false : undefined;
      return sure === 1;
    }),
    shape.opaque.size === 0 ? true : undefined,
  ]);
}

export function typeOf(value: unknown): JsonType {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "fraction";
  return typeof value as "boolean" | "string" | "object";
}

function every(answers: readonly (boolean | undefined)[]): boolean | undefined {
  if (answers.includes(false)) return false;
  return answers.includes(undefined) ? undefined : true;
}

function some(answers: readonly (boolean | undefined)[]): boolean | undefined {
  if (answers.includes(true)) return true;
  return answers.includes(undefined) ? undefined : false;
}

function fitsNumber({ minimum, maximum, multiplesOf }: Shape, value: number): boolean | undefined {
  if (minimum && (minimum.exclusive ? value <= minimum.value : value < minimum.value)) return false;
  if (maximum && (maximum.exclusive ? value >= maximum.value : value > maximum.value)) return false;
  return every(
    multiplesOf.map((step) => {
      const whole = Number.isInteger(value) && Number.isInteger(step);
      // Of fractions, 0.3 and 0.1 for one, every validator has its own opinion.
      return whole ? value % step === 0 : undefined;
    }),
  );
}

function fitsString(shape: Shape, value: string): boolean | undefined {
  const length = [...value].length;
  if (length < shape.minLength || length > shape.maxLength) return false;
  return every([
    ...[...shape.patterns].map((pattern) => matches(pattern, value)),
    shape.formats.size === 0 ? true : undefined,
  ]);
}

function fitsArray(shape: Shape, value: readonly unknown[], depth: number): boolean | undefined {
  if (value.length < shape.minItems || value.length > shape.maxItems) return false;
  if (shape.uniqueItems && value.some((one, at) => value.slice(at + 1).some((two) => sameJson(one, two))))
    return false;
  return every(value.map((one, index) => accepts(itemNodes(shape, index), one, depth + 1)));
}

function fitsObject(shape: Shape, value: object, depth: number): boolean | undefined {
  const entries = Object.entries(value);
  if (entries.length < shape.minProperties || entries.length > shape.maxProperties) return false;
  if ([...shape.required].some((name) => !Object.hasOwn(value, name))) return false;
  return every([
    ...entries.map(([name, one]) => accepts(propertyNodes(shape, name) ?? [], one, depth + 1)),
    ...entries.map(([name]) => accepts(shape.names, name, depth + 1)),
  ]);
}
