/**
 * The written design, `DESIGN.md`: the same figures as everywhere else, and nothing that changes by itself, so that a
 * test can tell when it is out of date.
 */
import type { Plan } from "../plan.ts";
import {
  architectureSections,
  assumptionSection,
  capacitySection,
  decisionSection,
  deepDiveSections,
  estimateSections,
  findingSection,
  type Section,
  verdict,
} from "./sections.ts";

export interface MarkdownOptions {
  /** How to write it anew, such as `holdfast plan systems/shortener --write`. */
  readonly command: string;
  /** From the design's folder to the repository's pages: `../../`. Default: pages are named, not linked. */
  readonly toRoot?: string;
  /** Sections of whoever writes, such as measured figures. */
  readonly more?: readonly Section[];
}

export function designMarkdown(plan: Plan, { command, toRoot, more = [] }: MarkdownOptions): string {
  const linked = (text: string) =>
    toRoot === undefined
      ? text
      : text.replace(
          /\((docs\/findings\.md#([a-z-]+))\)/g,
          (_, page, name) => `([${name}](${toRoot}${page}))`,
        );
  const sections = (list: readonly Section[], level = "##") =>
    list.filter(({ rows }) => rows.length > 0).map((section) => linked(sectionMarkdown(section, level)));
  const { scope, summary, scale } = plan;
  return `${[
    `# ${escaped(plan.name)}: the design`,
    `Written by \`${command}\` from the requirements beside it: change those, not this file.${scale === 1 ? "" : ` Planned for ${scale} times their load.`}`,
    ...(summary ? [`${escaped(summary)}.`] : []),
    [
      `- In scope: ${escaped(scope.in.join(", "))}.`,
      ...(scope.out.length > 0 ? [`- Out of scope: ${escaped(scope.out.join(", "))}.`] : []),
      `- Capacities: ${escaped(plan.capacity.title)}.`,
      `- Findings: ${verdict(plan)}.`,
    ].join("\n"),
    ...sections([findingSection(plan)]),
    "## Architecture",
    `\`\`\`mermaid\n${plan.architecture.mermaid}\n\`\`\``,
    ...sections(architectureSections(plan), "###"),
    "## Estimates",
    ...sections(
      estimateSections(plan).map((section) => ({
        ...section,
        title: section.title.replace(/^Estimates: /, ""),
      })),
      "###",
    ),
    ...sections(more),
    "## Deep dives",
    ...sections(deepDiveSections(plan), "###"),
    ...sections([decisionSection(plan), assumptionSection(plan), capacitySection(plan)]),
  ].join("\n\n")}\n`;
}

function sectionMarkdown({ title, note, heads, rows }: Section, level: string): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(" | ")} |`;
  return [
    `${level} ${title.charAt(0).toUpperCase()}${title.slice(1)}`,
    ...(note === undefined ? [] : [escaped(note)]),
    [line(heads), `|${heads.map(() => "---").join("|")}|`, ...rows.map(({ cells }) => line(cells))].join(
      "\n",
    ),
  ].join("\n\n");
}

function cell(text: string): string {
  return escaped(text).replace(/\|/g, "\\|").replace(/\n/g, "<br>");
}

/** Names may hold anything; none of it becomes markup. */
function escaped(text: string): string {
  return text.replace(/[\\`*_<>]/g, (sign) => `\\${sign}`);
}
