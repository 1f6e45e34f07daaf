/** Arrays: their length, and each item. */
import { type Comparison, type Finding, incompatible } from "./finding.ts";
import type { SchemaNode } from "./json-schema.ts";
import { type ArrayFacts, itemNodes, type Shape } from "./shape.ts";

export function arrayFindings({ check }: Comparison, writer: Shape, reader: Shape, path: string): Finding[] {
  const findings: Finding[] = [];
  if (writer.minItems < reader.minItems) {
    findings.push(
      incompatible(
        path,
        "bound",
        `lists from ${writer.minItems} items are written, and only those from ${reader.minItems} can be read`,
      ),
    );
  }
  const longest = longestOf(writer);
  if (longest > reader.maxItems) {
    const written =
      longest === Number.POSITIVE_INFINITY ? "lists of any length" : `lists up to ${longest} items`;
    findings.push(
      incompatible(
        path,
        "bound",
        `${written} are written, and only those up to ${reader.maxItems} can be read`,
      ),
    );
  }
  if (reader.uniqueItems && !writer.uniqueItems && longest > 1) {
    findings.push(
      incompatible(path, "bound", "an item may be written twice, and only lists without repeats can be read"),
    );
  }
  const places = Math.max(0, ...[...writer.arrays, ...reader.arrays].map(({ prefix }) => prefix.length));
  for (let index = 0; index < Math.min(places, longest); index++) {
    const written = itemNodes(writer, index);
    for (const facts of reader.arrays) {
      const read = facts.prefix[index] ?? facts.items;
      if (read) findings.push(...check(anything(written), read, `${path}[${index}]`));
    }
  }
  if (longest > places) {
    const written = writer.arrays.flatMap(({ items }) => items ?? []);
    for (const { items } of reader.arrays) {
      if (items) findings.push(...check(anything(written), items, `${path}[]`));
    }
  }
  return findings;
}

/** `items: false` ends a list where its places end. */
function longestOf({ arrays, maxItems }: Shape): number {
  const ends = arrays
    .filter(({ items }: ArrayFacts) => items?.schema === false)
    .map(({ prefix }) => prefix.length);
  return Math.min(maxItems, ...ends);
}

function anything(nodes: readonly SchemaNode[]): readonly SchemaNode[] {
  return nodes.length > 0 ? nodes : [{ schema: true, root: true }];
}
