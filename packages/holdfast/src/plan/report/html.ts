/** The plan as one page that needs nothing from outside: the diagram as SVG, the tables, light and dark. */

import { nodeLabel } from "../architecture/node-label.ts";
import { graphSvg, xml } from "../architecture/svg.ts";
import type { Plan } from "../plan.ts";
import { planSections, type Section, verdict } from "./sections.ts";

/** The diagram alone. */
export function designSvg({ architecture }: Plan): string {
  const sizes = new Map(architecture.parts.map((part) => [part.part, part]));
  return graphSvg(architecture.graph, (node) => nodeLabel(node, sizes.get(node.id)));
}

export function designHtml(plan: Plan, more: readonly Section[] = []): string {
  const [findings, ...rest] = planSections(plan);
  const sections = [...(findings ? [findings] : []), ...more];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${xml(plan.name)}: the design</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>${xml(plan.name)}</h1>
${plan.summary ? `<p>${xml(plan.summary)}</p>` : ""}
<p class="scope">In scope: ${xml(plan.scope.in.join(", "))}.${plan.scope.out.length > 0 ? ` Out of scope: ${xml(plan.scope.out.join(", "))}.` : ""}${plan.scale === 1 ? "" : ` At ${plan.scale} times the load.`}</p>
<p class="scope">Capacities: ${xml(plan.capacity.title)}.</p>
<p class="verdict">${xml(verdict(plan))}</p>
</header>
<main>
${sections.map(sectionHtml).join("\n")}
<section><h2>Architecture</h2><div class="wide">${designSvg(plan)}</div></section>
${rest.map(sectionHtml).join("\n")}
</main>
</body>
</html>
`;
}

function sectionHtml({ title, note, heads, rows }: Section): string {
  const head = heads.map((name) => `<th scope="col">${xml(name)}</th>`).join("");
  const body = rows
    .map(({ cells, tone }) => `<tr${tone ? ` class="${tone}"` : ""}>${cells.map(cellHtml).join("")}</tr>`)
    .join("\n");
  return `<section><h2>${xml(title)}</h2>${note === undefined ? "" : `<p class="note">${xml(note)}</p>`}<div class="wide"><table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div></section>`;
}

function cellHtml(text: string): string {
  const [first = "", ...rest] = text.split("\n").map(xml);
  return rest.length === 0
    ? `<td>${first}</td>`
    : `<td><strong>${first}</strong>${rest.map((line) => `<br>${line}`).join("")}</td>`;
}

const style = `
:root{color-scheme:light dark;--ink:#1d2733;--soft:#5a6b7d;--paper:#fff;--line:#d9e1e8;--critical:#b3261e;--warning:#8a5a00;--note:#1d5f8a;--good:#1d6b3a}
@media (prefers-color-scheme:dark){:root{--ink:#e4ebf2;--soft:#9fb0c0;--paper:#12181f;--line:#2b3947;--critical:#ff8a80;--warning:#f0c060;--note:#7cc4f0;--good:#7fd39b}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:76rem;padding:1.5rem;background:var(--paper);color:var(--ink);font:15px/1.5 ui-sans-serif,system-ui,sans-serif}
h1{margin:0;font-size:1.7rem}h2{margin:2.2rem 0 .4rem;font-size:1.15rem}
.scope,p.note{color:var(--soft);max-width:60rem;margin:.2rem 0 .6rem}.verdict{font-weight:600}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;vertical-align:top;padding:.35rem .8rem .35rem 0;border-bottom:1px solid var(--line)}
th{color:var(--soft);font-weight:500;white-space:nowrap}
td:first-child{white-space:nowrap}
.critical td:first-child{color:var(--critical);font-weight:600}.warning td:first-child{color:var(--warning);font-weight:600}
.note td:first-child{color:var(--note)}.good td:first-child{color:var(--good)}
svg{max-width:100%;height:auto}
`.replace(/\n/g, "");
