/**
 * Unions of the reader: whether what is written finds its alternative.
 *
 * Mostly one alternative takes all of it. Where a property tells the alternatives apart, each of its values is looked
 * at by itself. `oneOf` asks for exactly one, so the others must not take it as well.
 */
import { disjoint, finiteValues } from "./disjoint.ts";
import { type Comparison, type Finding, incompatible, undecided } from "./finding.ts";
import type { SchemaNode } from "./json-schema.ts";
import { type Alternatives, propertyNodes, type Shape, shapeOf } from "./shape.ts";

const valuesMax = 64;

export function unionFindings(
  comparison: Comparison,
  writer: Shape,
  union: Alternatives,
  path: string,
): Finding[] {
  const { nodes, keyword } = union;
  const answers = nodes.map((node) => comparison.check(writer.flat, node, path));
  const taker = answers.findIndex((findings) => findings.length === 0);
  if (taker >= 0) {
    const clear = keyword === "anyOf" || onlyTaker(writer, nodes, taker);
    return clear
      ? []
      : [
          undecided(
            path,
            "union",
            "more than one alternative of `oneOf` may take what is written; readers then refuse it",
          ),
        ];
  }
  for (const split of splits(writer, nodes)) {
    const parts = split.map((flat) => unionFindings(comparison, shapeOf(flat), union, path));
    // Worth telling by parts: which of the kinds is the one that does not fit.
    if (parts.some((findings) => findings.length === 0)) return parts.flat();
  }
  const near = nodes.flatMap((node, index) =>
    disjoint(writer.flat, [node]) ? [] : [answers[index] as Finding[]],
  );
  if (near.length === 0)
    return [incompatible(path, "union", `no alternative of readers takes it${kindsText(writer)}`)];
  // The others never take it, so this one has to.
  if (near.length === 1) return near[0] as Finding[];
  return [
    undecided(
      path,
      "union",
      `whether the ${nodes.length} alternatives of readers together take it is not understood here`,
    ),
  ];
}

function onlyTaker(writer: Shape, nodes: readonly SchemaNode[], taker: number): boolean {
  const chosen = nodes[taker] as SchemaNode;
  return nodes.every(
    (node, index) => index === taker || disjoint(writer.flat, [node]) || disjoint([chosen], [node]),
  );
}

/** The writer's values by the values of a property that is always there, and that some alternative looks at. */
function* splits(writer: Shape, nodes: readonly SchemaNode[]): Generator<SchemaNode[][]> {
  for (const name of writer.required) {
    const values = finiteValues(shapeOf(propertyNodes(writer, name) ?? []));
    if (!values || values.length < 2 || values.length > valuesMax) continue;
    if (!nodes.some((node) => finiteValues(shapeOf(propertyNodes(shapeOf([node]), name) ?? [])))) continue;
    yield values.map((value) => [
      ...writer.flat,
      { schema: { properties: { [name]: { const: value } } }, root: true },
    ]);
  }
}

function kindsText(writer: Shape): string {
  const fixed = [...writer.required].flatMap((name) => {
    const values = finiteValues(shapeOf(propertyNodes(writer, name) ?? []));
    return values?.length === 1 ? [`${name} ${JSON.stringify(values[0])}`] : [];
  });
  return fixed.length > 0 ? ` (${fixed.join(", ")})` : "";
}
