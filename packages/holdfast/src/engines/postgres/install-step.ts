/**
 * One step in the making of the framework's own tables, and the rule by which two versions of the library run side
 * by side on them.
 *
 * 1. A step adds: tables, columns that may be left out, indexes, functions. What an older library reads and writes
 *    stays as it was, so that a release can be rolled out process by process, and rolled back.
 * 2. A step that takes away, or changes what is there, says the oldest library that can still run beside it. It comes
 *    a version after the last library that needs what it takes away: at least one release lies between.
 * 3. A library that finds steps newer than those it knows goes on when they say that it may; else it refuses to start
 *    with HOLDFAST_INSTALL_NEWER, before it has touched anything.
 */
export interface InstallStep {
  /** The block it belongs to, such as `marker`. */
  readonly name: string;
  /** 1 for the first. A change of the tables is a further step with the next version, never an edit. */
  readonly version: number;
  /** Runs once per database and node, in one transaction with all others, as the schema's owner. */
  readonly sql: string;
  /** The oldest library, such as `0.3.0`, that can run beside it. Default: every one. */
  readonly oldestLibrary?: string;
}

/** Of this library: the version in its package.json, to which a test holds it. */
export const libraryVersion = "0.1.0";

/** Whether version `a` is older than `b`; numbers between dots, what is behind a hyphen does not count. */
export function isOlder(a: string, b: string): boolean {
  const [left, right] = [numbersOf(a), numbersOf(b)];
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function numbersOf(version: string): number[] {
  return version
    .replace(/[-+].*$/, "")
    .split(".")
    .map(Number);
}
