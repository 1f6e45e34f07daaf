/**
 * Who should read which partition: an even share for every live member, moving as little as possible.
 *
 * A pure step. Every member computes the same answer from the same rows and takes only its own part of it, so
 * that a partition stays with its reader until the next one is there to take it.
 */

/**
 * @param owners the member that holds each partition now; whoever is not in `members` holds nothing any more
 * @param members the live members of the group, without repeats
 * @returns the member that should hold each partition; every entry `undefined` when there are no members
 *
 * Invariants: shares differ by at most one; a member over its share gives up only the surplus; nobody else
 * moves; the same input gives the same answer whatever the order of `members`.
 */
export function assignStep(
  owners: readonly (string | undefined)[],
  members: readonly string[],
): readonly (string | undefined)[] {
  const held = new Map<string, number[]>(members.map((member) => [member, []]));
  for (const [partition, owner] of owners.entries()) {
    if (owner !== undefined) held.get(owner)?.push(partition);
  }
  // The larger shares go to those who hold most: that moves least. Names break ties.
  const ranked = [...held].sort(
    ([a, ofA], [b, ofB]) => ofB.length - ofA.length || (a < b ? -1 : a > b ? 1 : 0),
  );
  const target = new Array<string | undefined>(owners.length).fill(undefined);
  const wanting: { readonly member: string; missing: number }[] = [];
  const share = Math.floor(owners.length / Math.max(1, ranked.length));
  const larger = owners.length - share * ranked.length;
  for (const [rank, [member, partitions]] of ranked.entries()) {
    const quota = share + (rank < larger ? 1 : 0);
    for (const partition of partitions.slice(0, quota)) target[partition] = member;
    if (partitions.length < quota) wanting.push({ member, missing: quota - partitions.length });
  }
  for (const [partition, taken] of target.entries()) {
    const next = wanting[0];
    if (taken !== undefined || !next) continue;
    target[partition] = next.member;
    next.missing--;
    if (next.missing === 0) wanting.shift();
  }
  return target;
}
