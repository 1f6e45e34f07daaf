/** The graph as a Mermaid flowchart. Labels are quoted and escaped: a name cannot change the diagram. */
import type { GraphNode, SystemGraph } from "./graph.ts";

const shapes: Readonly<Record<GraphNode["kind"], readonly [string, string]>> = {
  caller: ["([", "])"],
  gateway: ["[[", "]]"],
  service: ["[", "]"],
  worker: ["[/", "/]"],
  database: ["[(", ")]"],
  cache: ["{{", "}}"],
  topic: [">", "]"],
  queue: [">", "]"],
  bucket: ["[(", ")]"],
  cdn: ["{{", "}}"],
  search: ["[(", ")]"],
  external: ["(", ")"],
};

/** Most operations that a label names; the rest are counted. */
const labelOperationsMax = 3;

export function mermaid({ nodes, edges }: SystemGraph, label: (node: GraphNode) => string): string {
  const ids = new Map(nodes.map(({ id }, index) => [id, `n${index}`]));
  const lines = nodes.map((node) => {
    const [open, close] = shapes[node.kind];
    return `  ${ids.get(node.id)}${open}"${escaped(label(node))}"${close}`;
  });
  const arrows = edges.map(({ from, to, operations, async }) => {
    const text = edgeLabel(operations);
    const arrow = async ? "-.->" : "-->";
    return `  ${ids.get(from)} ${arrow}${text === "" ? "" : `|"${escaped(text)}"|`} ${ids.get(to)}`;
  });
  return ["flowchart LR", ...lines, ...arrows].join("\n");
}

export function edgeLabel(operations: readonly string[]): string {
  const more = operations.length - labelOperationsMax;
  const named = operations.slice(0, labelOperationsMax).join(", ");
  return more > 0 ? `${named} and ${more} more` : named;
}

function escaped(text: string): string {
  return text.replace(/[&"<>]/g, (sign) => `#${sign.charCodeAt(0)};`).replace(/\n/g, "<br/>");
}
