/**
 * Version vector: for each replica, how many of its changes a value contains. Of two values it says which one
 * knows the other, or that they were changed apart and have to be merged.
 *
 * A vector is a plain object; a replica that is absent counts 0. The functions never change what they are given.
 *
 * @see D. S. Parker et al., "Detection of Mutual Inconsistency in Distributed Systems", 1983
 */
export type VersionVector = Readonly<Record<string, number>>;

export type VersionOrder = "before" | "after" | "equal" | "concurrent";

/** The vector after one more change by `replica`. */
export function incrementVersion(vector: VersionVector, replica: string): VersionVector {
  return { ...vector, [replica]: countOf(vector, replica) + 1 };
}

/** How `a` stands to `b`: `before` when `b` knows all of `a` and more. */
export function compareVersions(a: VersionVector, b: VersionVector): VersionOrder {
  const aKnowsMore = Object.keys(a).some((replica) => countOf(a, replica) > countOf(b, replica));
  const bKnowsMore = Object.keys(b).some((replica) => countOf(b, replica) > countOf(a, replica));
  if (aKnowsMore) return bKnowsMore ? "concurrent" : "after";
  return bKnowsMore ? "before" : "equal";
}

/** The smallest vector that knows both. */
export function mergeVersions(a: VersionVector, b: VersionVector): VersionVector {
  const merged = Object.entries(b).map(([replica, count]) => [replica, Math.max(count, countOf(a, replica))]);
  return { ...a, ...Object.fromEntries(merged) };
}

function countOf(vector: VersionVector, replica: string): number {
  // A replica may be called "constructor".
  return Object.hasOwn(vector, replica) ? (vector[replica] as number) : 0;
}
