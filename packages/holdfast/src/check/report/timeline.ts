/** The picture of one contradiction, as SVG: lanes by process, bars for operations, arrows for what had to come first. */
import type { Witness, WitnessEdge } from "../verdict.ts";
import { escapeHtml } from "./escape.ts";
import type { FaultBand } from "./fault-bands.ts";
import { type Bar, barHeight, type Layout, laneLabelWidth, layoutOf } from "./timeline-layout.ts";

const edgeClasses: readonly string[] = ["ww", "wr", "rw", "process", "realtime"];

/** @param id tells the arrow heads of several pictures of a page apart */
export function timelineSvg(witness: Witness, bands: readonly FaultBand[], id: string): string {
  const layout = layoutOf(witness);
  const { width, height } = layout;
  const arrows = witness.edges.map((edge, at) => arrowSvg(edge, at, witness, layout, id));
  const parts = [
    ...bands.map((band) => bandSvg(band, layout)),
    ...layout.lanes.map(
      ({ name, y }) =>
        `<line class="lane" x1="${laneLabelWidth}" x2="${width}" y1="${y + barHeight / 2}" y2="${y + barHeight / 2}"/><text class="who" x="0" y="${y + barHeight / 2 + 4}">${escapeHtml(name)}</text>`,
    ),
    // Arrows pass behind the bars that they cross, and what they are called stands before everything.
    ...arrows.map(({ path }) => path),
    ...layout.bars.map((bar, at) => barSvg(bar, witness, at, id)),
    ...arrows.map(({ name }) => name),
    timeAxis(layout),
  ];
  return `<svg role="img" aria-label="${escapeHtml(witness.summary)}" viewBox="0 0 ${round(width)} ${round(height + 22)}" width="${round(width)}" height="${round(height + 22)}">${defs(id)}${parts.join("\n")}</svg>`;
}

function defs(id: string): string {
  const heads = [...edgeClasses, "other"].map(
    (kind) =>
      `<marker id="${id}-${kind}" class="head ${kind}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0 0 10 5 0 10z"/></marker>`,
  );
  const fade = `<linearGradient id="${id}-fade"><stop offset="0.55" stop-color="white"/><stop offset="1" stop-color="black"/></linearGradient><mask id="${id}-open" maskContentUnits="objectBoundingBox"><rect width="1" height="1" fill="url(#${id}-fade)"/></mask>`;
  return `<defs>${heads.join("")}${fade}</defs>`;
}

function bandSvg(band: FaultBand, layout: Layout): string {
  if (band.endNs < layout.startNs || band.startNs > layout.endNs) return "";
  const from = layout.x(band.startNs);
  const to = layout.x(band.endNs);
  return `<g class="fault"><rect x="${round(from)}" y="0" width="${round(Math.max(3, to - from))}" height="${round(layout.height)}"/><text x="${round(from + 6)}" y="14">${escapeHtml(band.label)}</text><title>${escapeHtml(band.label)}</title></g>`;
}

function barSvg(bar: Bar, witness: Witness, at: number, id: string): string {
  const operation = witness.operations[at];
  if (!operation) return "";
  const mask = bar.open ? ` mask="url(#${id}-open)"` : "";
  const end = bar.open ? "never ended" : `ended as ${operation.outcome}`;
  return `<g class="bar ${operation.outcome}${operation.involved ? " involved" : ""}"><title>${escapeHtml(`${operation.label} (process ${operation.process}, event ${operation.callIndex}, ${end})`)}</title><rect x="${round(bar.x)}" y="${bar.y}" width="${round(bar.width)}" height="${barHeight}" rx="7"${mask}/><text x="${round(bar.x + 10)}" y="${bar.y + barHeight / 2 + 4.5}">${escapeHtml(bar.label)}</text></g>`;
}

/** Arrows leave and reach a bar at places of their own, so that two of them do not lie on each other. */
function arrowSvg(
  edge: WitnessEdge,
  at: number,
  { edges }: Witness,
  { bars }: Layout,
  id: string,
): { readonly path: string; readonly name: string } {
  const from = bars[edge.from];
  const to = bars[edge.to];
  if (!from || !to) return { path: "", name: "" };
  const kind = edgeClasses.includes(edge.kind) ? edge.kind : "other";
  const level = to.y === from.y;
  const down = to.y > from.y;
  const start = { x: anchor(from, edge.from, at, edges), y: from.y + (down ? barHeight : 0) };
  const end = { x: anchor(to, edge.to, at, edges), y: to.y + (down || level ? 0 : barHeight) };
  const bend = level ? -44 : (down ? 1 : -1) * Math.min(54, Math.abs(end.y - start.y) / 2);
  const bendEnd = level ? bend : -bend;
  const why = `<title>${escapeHtml(edge.why)}</title>`;
  const curve = `M${round(start.x)} ${start.y}C${round(start.x)} ${round(start.y + bend)} ${round(end.x)} ${round(end.y + bendEnd)} ${round(end.x)} ${end.y}`;
  // Close to where it begins, in the gap between two lanes.
  const share = level ? 0.3 : Math.min(0.5, 34 / Math.abs(end.y - start.y));
  const place = {
    x: bezier(share, start.x, start.x, end.x, end.x),
    y: level ? bezier(share, start.y, start.y + bend, end.y + bendEnd, end.y) : start.y + (down ? 24 : -24),
  };
  const half = edge.kind.length * 3.6 + 8;
  return {
    path: `<g class="edge ${kind}">${why}<path d="${curve}" marker-end="url(#${id}-${kind})"/></g>`,
    name: `<g class="edge ${kind}">${why}<rect x="${round(place.x - half)}" y="${round(place.y - 10)}" width="${round(half * 2)}" height="20" rx="10"/><text x="${round(place.x)}" y="${round(place.y + 4)}">${escapeHtml(edge.kind)}</text></g>`,
  };
}

function bezier(t: number, a: number, b: number, c: number, d: number): number {
  const u = 1 - t;
  return u * u * u * a + 3 * u * u * t * b + 3 * u * t * t * c + t * t * t * d;
}

function anchor(bar: Bar, operation: number, edge: number, edges: readonly WitnessEdge[]): number {
  const touching = edges.flatMap(({ from, to }, at) => (from === operation || to === operation ? [at] : []));
  return bar.x + (bar.width * (touching.indexOf(edge) + 1)) / (touching.length + 1);
}

function timeAxis({ startNs, endNs, height }: Layout): string {
  const spanMs = ((endNs - startNs) / 1e6).toLocaleString("en-US", { maximumSignificantDigits: 4 });
  return `<text class="axis" x="${laneLabelWidth}" y="${round(height + 14)}">time, not to scale: ${spanMs} ms from the first begin to the last end</text>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
