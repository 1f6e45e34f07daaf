import fc from "fast-check";
import { expect, test } from "vitest";
import { assignStep } from "./assign-step.ts";

const names = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e", "f", "g"), { maxLength: 7 });
const owners = fc.array(fc.option(fc.constantFrom("a", "b", "c", "d", "e", "gone"), { nil: undefined }), {
  minLength: 1,
  maxLength: 40,
});

/** What the group does: each member in turn takes its own part of the answer. */
function settle(start: readonly (string | undefined)[], members: readonly string[]): (string | undefined)[] {
  const now = [...start];
  for (const member of [...members, ...members]) {
    const target = assignStep(now, members);
    for (const [partition, wanted] of target.entries()) if (wanted === member) now[partition] = member;
  }
  return now;
}

function shares(assigned: readonly (string | undefined)[], members: readonly string[]): number[] {
  return members.map((member) => assigned.filter((owner) => owner === member).length);
}

test("every partition has a live owner, and shares differ by at most one", () => {
  fc.assert(
    fc.property(owners, names, (held, members) => {
      const target = assignStep(held, members);
      expect(target).toHaveLength(held.length);
      if (members.length === 0) {
        expect(target.every((owner) => owner === undefined)).toBe(true);
        return;
      }
      for (const owner of target) expect(members).toContain(owner);
      const counts = shares(target, members);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }),
  );
});

test("it moves no more partitions than evenness needs", () => {
  fc.assert(
    fc.property(owners, names, (held, members) => {
      fc.pre(members.length > 0);
      const target = assignStep(held, members);
      const kept = target.filter((owner, partition) => owner === held[partition]).length;
      // An obvious twin: with the shares sorted as the holdings are, each member keeps min(held, share).
      const holdings = shares(held, members).sort((a, b) => b - a);
      const quotas = shares(target, members).sort((a, b) => b - a);
      const most = holdings.reduce((sum, count, rank) => sum + Math.min(count, quotas[rank] ?? 0), 0);
      expect(kept).toBe(most);
    }),
  );
});

test("members that each take their own part agree after two rounds, and then nothing moves", () => {
  fc.assert(
    fc.property(owners, names, (held, members) => {
      fc.pre(members.length > 0);
      const settled = settle(held, members);
      expect(assignStep(settled, members)).toEqual(settled);
      const counts = shares(settled, members);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }),
  );
});

test("the order of members does not matter", () => {
  fc.assert(
    fc.property(owners, names, (held, members) => {
      expect(assignStep(held, [...members].reverse())).toEqual(assignStep(held, members));
    }),
  );
});
