/** A verdict as one page that needs nothing from elsewhere: each contradiction as a picture, and the words beside it. */
import type { HistoryEvent } from "../history/event.ts";
import type { CheckResult, Witness } from "../verdict.ts";
import { escapeHtml } from "./escape.ts";
import { type FaultBand, faultBands } from "./fault-bands.ts";
import { pageStyle } from "./style.ts";
import { timelineSvg } from "./timeline.ts";
import { headline, sideWords, witnessesShownMax } from "./words.ts";

export interface VerdictPageOptions {
  /** What was judged, such as the name of the file. */
  readonly title?: string;
  /** What witnesses of faults said: drawn as bands behind the operations. */
  readonly faults?: readonly HistoryEvent[];
}

export function verdictHtml(
  result: CheckResult,
  { title = "history", faults = [] }: VerdictPageOptions = {},
): string {
  const bands = faultBands(faults);
  const shown = result.witnesses.slice(0, witnessesShownMax);
  const more = result.witnesses.length - shown.length;
  const body = [
    `<header><p class="file">${escapeHtml(title)}</p><h1><span class="verdict ${result.verdict}">${result.verdict}</span> ${escapeHtml(result.model)}</h1><p>${escapeHtml(headline(result))}</p>${side(result)}</header>`,
    ...(shown.length > 0 ? [legend(bands)] : []),
    ...shown.map((witness, at) => section(witness, bands, at)),
    ...(more > 0 ? [`<p class="more">and ${more} more like these.</p>`] : []),
  ];
  // No script can run here, and nothing is fetched, whatever a history holds.
  const policy = `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">${policy}<meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(`${result.verdict}: ${title}`)}</title><style>${pageStyle}</style></head>
<body><main>
${body.join("\n")}
</main></body></html>
`;
}

function side(result: CheckResult): string {
  const lines = sideWords(result).filter(Boolean);
  return lines.length === 0
    ? ""
    : `<ul class="side">${lines.map((line) => `<li>${escapeHtml(line)}</li>`).join("")}</ul>`;
}

function section(witness: Witness, bands: readonly FaultBand[], at: number): string {
  const steps = witness.steps.map((step) => `<li>${escapeHtml(step)}</li>`).join("");
  return `<section><h2><span class="anomaly">${escapeHtml(witness.anomaly)}</span></h2><p class="summary">${escapeHtml(witness.summary)}</p><div class="picture" tabindex="0">${timelineSvg(witness, bands, `w${at}`)}</div><ol>${steps}</ol></section>`;
}

const legendEntries = [
  ["ww", "wrote over what the other wrote"],
  ["wr", "read what the other wrote"],
  ["rw", "read before the other wrote"],
  ["process", "same process, later"],
  ["realtime", "ended before the other began"],
] as const;

function legend(bands: readonly FaultBand[]): string {
  const bars = [
    `<li><i class="swatch involved"></i>part of the contradiction</li>`,
    `<li><i class="swatch"></i>shown for orientation</li>`,
    `<li><i class="swatch fail"></i>failed</li>`,
    `<li><i class="swatch info"></i>outcome unknown: open end</li>`,
    ...(bands.length > 0 ? [`<li><i class="swatch fault"></i>a fault was under way</li>`] : []),
  ];
  const edges = legendEntries.map(([kind, means]) => `<li><b class="pill ${kind}">${kind}</b>${means}</li>`);
  return `<ul class="legend" aria-label="Legend">${bars.join("")}${edges.join("")}</ul>`;
}
