/** A warning of a statement that stops others, as data and in words. */
import type { LockFinding } from "./finding.ts";

export interface LockWarning extends LockFinding {
  readonly file: string;
  readonly line: number;
  /** The statement in one line, cut when it is long. */
  readonly statement: string;
}

/** Pure: a warning as lines for people. */
export function warningLines({ file, line, statement, lock, blocks, safe }: LockWarning): string[] {
  return [
    `${file}:${line}  ${statement}`,
    `  takes ${lock}: stops ${blocks}.`,
    "  Instead:",
    ...safe.map((text) => `    ${text.replaceAll("\n", "\n    ")}`),
    "  If nobody is stopped here, say so above the statement: -- holdfast: safe because …",
  ];
}
