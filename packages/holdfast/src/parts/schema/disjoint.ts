/** Whether no value can fit both: then one of them never stands in the other's way. */
import { accepts } from "./accepts.ts";
import type { SchemaNode } from "./json-schema.ts";
import { propertyNodes, type Shape, shapeOf } from "./shape.ts";

const depthMax = 4;

/** @returns `false` also when it cannot be said */
export function disjoint(left: readonly SchemaNode[], right: readonly SchemaNode[], depth = 0): boolean {
  const [a, b] = [shapeOf(left), shapeOf(right)];
  const types = [...a.types].filter((type) => b.types.has(type));
  if (types.length === 0) return true;
  const [left0, right0] = [finiteValues(a), finiteValues(b)];
  if (left0) return left0.every((value) => accepts(left, value) === false || accepts(right, value) === false);
  if (right0) return right0.every((value) => accepts(left, value) === false);
  if (depth >= depthMax) return false;
  // A union is apart when each of its alternatives is.
  for (const [shape, other] of [
    [a, right],
    [b, left],
  ] as const) {
    if (shape.alternatives.some(({ nodes }) => nodes.every((node) => disjoint([node], other, depth + 1))))
      return true;
  }
  if (types.every((type) => type === "object")) return differ(a, b, depth);
  return false;
}

/** A property that both have, and never alike; or that one has and the other refuses. */
function differ(a: Shape, b: Shape, depth: number): boolean {
  return [...new Set([...a.required, ...b.required])].some((name) => {
    const [left, right] = [propertyNodes(a, name) ?? [], propertyNodes(b, name) ?? []];
    if (a.required.has(name) && b.required.has(name)) return disjoint(left, right, depth + 1);
    const refused = a.required.has(name) ? right : left;
    return refused.some(({ schema }) => schema === false);
  });
}

/** All values that are possible, where these are few; more than fit, perhaps. */
export function finiteValues(shape: Shape): readonly unknown[] | undefined {
  if (shape.values) return shape.values;
  const types = [...shape.types];
  if (types.length > 0 && types.every((type) => type === "null" || type === "boolean"))
    return types.flatMap((type) => (type === "null" ? [null] : [true, false]));
  for (const { nodes } of shape.alternatives) {
    const all = nodes.map((node) => finiteValues(shapeOf([node])));
    if (all.every((values) => values !== undefined)) return all.flat();
  }
  return undefined;
}
