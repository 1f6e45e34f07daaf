/** Savepoints, as the user's own SQL sets them: what was published behind one goes when it is rolled back. */

export type SavepointStatement = {
  readonly kind: "set" | "release" | "rollback";
  /** As the server compares it: folded to lower case unless quoted. */
  readonly name: string;
};

export interface Savepoint {
  readonly name: string;
  /** What had been published when it was set. */
  readonly rows: number;
}

const comments = String.raw`^(?:\s|--[^\n]*(?:\n|$)|/\*[\s\S]*?\*/)*`;
const name = String.raw`("(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)`;
const set = new RegExp(`${comments}savepoint\\s+${name}`, "iu");
const release = new RegExp(`${comments}release\\s+(?:savepoint\\s+)?${name}`, "iu");
const rollback = new RegExp(
  `${comments}rollback\\s+(?:work\\s+|transaction\\s+)?to\\s+(?:savepoint\\s+)?${name}`,
  "iu",
);

/** `undefined` for any other statement. */
export function savepointOf(text: string): SavepointStatement | undefined {
  for (const [kind, pattern] of [
    ["set", set],
    ["release", release],
    ["rollback", rollback],
  ] as const) {
    const found = pattern.exec(text)?.[1];
    if (found === undefined) continue;
    const quoted = found.startsWith('"');
    return { kind, name: quoted ? found.slice(1, -1).replaceAll('""', '"') : found.toLowerCase() };
  }
  return undefined;
}

/**
 * What is left of the savepoints after a statement that the server has done.
 *
 * @returns `rows`: how much of what was published stays
 */
export function afterStatement(
  savepoints: readonly Savepoint[],
  { kind, name: named }: SavepointStatement,
  rows: number,
): { readonly savepoints: readonly Savepoint[]; readonly rows: number } {
  if (kind === "set") return { savepoints: [...savepoints, { name: named, rows }], rows };
  // The newest of that name counts; an older one is hidden by it.
  const index = savepoints.findLastIndex((one) => one.name === named);
  const found = savepoints[index];
  if (!found) return { savepoints, rows };
  // A savepoint outlives a rollback to it, and not its release.
  return kind === "release"
    ? { savepoints: savepoints.slice(0, index), rows }
    : { savepoints: savepoints.slice(0, index + 1), rows: Math.min(rows, found.rows) };
}
