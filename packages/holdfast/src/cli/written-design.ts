/** `DESIGN.md` beside a system or its requirements: what it should say, and whether it does. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { designMarkdown, type Plan, type Section } from "../plan/index.ts";

export interface WrittenDesign {
  readonly file: string;
  readonly content: string;
  /** Whether the file says so already. */
  readonly current: boolean;
}

export function writtenDesign(designFile: string, plan: Plan, more: readonly Section[]): WrittenDesign {
  const folder = dirname(designFile);
  const file = join(folder, "DESIGN.md");
  const toRoot = pagesFrom(folder);
  const content = designMarkdown(plan, {
    command: "holdfast plan --write",
    more,
    ...(toRoot === undefined ? {} : { toRoot }),
  });
  return { file, content, current: existsSync(file) && readFileSync(file, "utf8") === content };
}

/** The way up to the folder whose docs/ has the pages on findings; elsewhere they are named and not linked. */
function pagesFrom(folder: string): string | undefined {
  for (let dir = folder; ; dir = dirname(dir)) {
    if (existsSync(join(dir, "docs/findings.md"))) {
      const way = relative(folder, dir).split(sep).join("/");
      return way === "" ? "" : `${way}/`;
    }
    if (dir === dirname(dir)) return undefined;
  }
}
