/** The graph as one SVG that needs nothing from outside: laid out by dagre, drawn here, light and dark. */
import dagre from "@dagrejs/dagre";
import type { GraphNode, SystemGraph } from "./graph.ts";
import { edgeLabel } from "./mermaid.ts";

const charWidth = 7.4;
const lineHeight = 18;

interface Point {
  readonly x: number;
  readonly y: number;
}

export function graphSvg({ nodes, edges }: SystemGraph, label: (node: GraphNode) => string): string {
  const graph = new dagre.graphlib.Graph({ multigraph: false });
  graph.setGraph({ rankdir: "LR", nodesep: 28, ranksep: 70, marginx: 12, marginy: 12 });
  graph.setDefaultEdgeLabel(() => ({}));
  const labels = new Map(nodes.map((node) => [node.id, label(node).split("\n")]));
  for (const { id } of nodes) {
    const lines = labels.get(id) ?? [];
    const width = Math.max(...lines.map((line) => line.length)) * charWidth + 28;
    graph.setNode(id, { width, height: lines.length * lineHeight + 16 });
  }
  for (const { from, to, operations } of edges) {
    const text = edgeLabel(operations);
    graph.setEdge(from, to, { width: text.length * charWidth * 0.85, height: lineHeight, labelpos: "c" });
  }
  dagre.layout(graph);
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  const drawnEdges = edges.map(({ from, to, operations, async }) => {
    const edge = graph.edge(from, to) as { points: readonly Point[]; x?: number; y?: number };
    const text = edgeLabel(operations);
    const at = edge.x === undefined ? "" : labelAt(text, edge.x, edge.y ?? 0);
    return `<path class="edge${async ? " async" : ""}" d="${curve(edge.points)}" marker-end="url(#arrow)"/>${at}`;
  });
  const drawnNodes = nodes.map(({ id, kind }) => {
    const node = graph.node(id) as Point & { readonly width: number; readonly height: number };
    return box(kind, node, labels.get(id) ?? []);
  });
  const [w, h] = [Math.ceil(width), Math.ceil(height)];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${w} ${h}" width="${w}" height="${h}" role="img" aria-label="The parts and who calls whom">`,
    `<style>${style}</style>`,
    '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path class="head" d="M0 0 10 5 0 10z"/></marker></defs>',
    ...drawnEdges,
    ...drawnNodes,
    "</svg>",
  ].join("\n");
}

const style = `
svg{--ink:#1d2733;--line:#5a6b7d;--paper:#fff;--soft:#eef3f8;--keep:#e8f3ea;--front:#fdf3e1;color-scheme:light dark}
@media (prefers-color-scheme:dark){svg{--ink:#e4ebf2;--line:#8fa1b3;--paper:#12181f;--soft:#1f2a36;--keep:#1c3124;--front:#3a2f1a}}
text{font:13px ui-sans-serif,system-ui,sans-serif;fill:var(--ink);text-anchor:middle}
.label{font-size:11px;fill:var(--line)}.back{fill:var(--paper);opacity:.85}
.box{stroke:var(--line);fill:var(--soft)}.keeps{fill:var(--keep)}.door{fill:var(--front)}.caller{fill:var(--paper)}
.edge{fill:none;stroke:var(--line);stroke-width:1.3}.async{stroke-dasharray:5 4}.head{fill:var(--line)}
`.replace(/\n/g, "");

const kinds: Partial<Record<GraphNode["kind"], string>> = {
  database: "keeps",
  bucket: "keeps",
  search: "keeps",
  cache: "keeps",
  topic: "keeps",
  queue: "keeps",
  gateway: "door",
  cdn: "door",
  caller: "caller",
};

function box(
  kind: GraphNode["kind"],
  { x, y, width, height }: Point & { readonly width: number; readonly height: number },
  lines: readonly string[],
): string {
  const round = kind === "caller" ? height / 2 : kind === "service" || kind === "worker" ? 4 : 10;
  const first = y - ((lines.length - 1) * lineHeight) / 2 + 4.5;
  const text = lines.map(
    (line, index) =>
      `<text x="${fixed(x)}" y="${fixed(first + index * lineHeight)}"${index > 0 ? ' class="label"' : ""}>${xml(line)}</text>`,
  );
  return `<rect class="box ${kinds[kind] ?? ""}" x="${fixed(x - width / 2)}" y="${fixed(y - height / 2)}" width="${fixed(width)}" height="${fixed(height)}" rx="${fixed(round)}"/>${text.join("")}`;
}

function labelAt(text: string, x: number, y: number): string {
  if (text === "") return "";
  const width = text.length * 6;
  return `<rect class="back" x="${fixed(x - width / 2)}" y="${fixed(y - 8)}" width="${fixed(width)}" height="16"/><text class="label" x="${fixed(x)}" y="${fixed(y + 4)}">${xml(text)}</text>`;
}

/** A line through the points of the layout, rounded at each. */
function curve(points: readonly Point[]): string {
  const [first, ...rest] = points;
  if (!first) return "";
  const last = rest.at(-1) ?? first;
  const middles = rest.slice(0, -1).map((point, index) => {
    const next = rest[index + 1] as Point;
    return `Q${at(point)} ${at({ x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 })}`;
  });
  return [`M${at(first)}`, ...middles, `L${at(last)}`].join(" ");
}

const at = ({ x, y }: Point) => `${fixed(x)} ${fixed(y)}`;
const fixed = (value: number) => String(Math.round(value * 10) / 10);

export function xml(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
