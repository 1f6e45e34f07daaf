import fc from "fast-check";
import { expect, test } from "vitest";
import { InFlight } from "./in-flight.ts";

const entry = (name: string) => ({ name, slot: -1 });

test("it behaves as a Set does, and uses its slots again", () => {
  const step = fc.record({
    name: fc.constantFrom(..."abcdefgh"),
    what: fc.constantFrom("add", "delete", "has"),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const entries = new Map([..."abcdefgh"].map((name) => [name, entry(name)]));
      const ours = new InFlight<{ name: string; slot: number }>();
      const twin = new Set<string>();
      for (const { name, what } of steps) {
        const one = entries.get(name) as { name: string; slot: number };
        if (what === "delete") expect(ours.delete(one)).toBe(twin.delete(name));
        if (what === "has") expect(ours.has(one)).toBe(twin.has(name));
        if (what === "add" && !twin.has(name)) {
          ours.add(one);
          twin.add(name);
        }
        expect(ours.size).toBe(twin.size);
        expect([...ours].map((each) => each.name).sort()).toEqual([...twin].sort());
        expect(Math.max(-1, ...[...ours].map((each) => each.slot))).toBeLessThan(8);
      }
    }),
  );
});

test("entries may go and come while they are looked at", () => {
  const ours = new InFlight<{ name: string; slot: number }>();
  const [a, b, c] = [entry("a"), entry("b"), entry("c")] as const;
  for (const each of [a, b, c]) ours.add(each);
  const met: string[] = [];
  for (const each of ours) {
    met.push(each.name);
    ours.delete(each);
    ours.delete(b);
  }
  expect(met).toEqual(["a", "c"]);
  expect(ours.size).toBe(0);
});

test("an entry is in one set at a time, and one set does not know another's", () => {
  const [one, other] = [new InFlight<{ slot: number }>(), new InFlight<{ slot: number }>()];
  const a = entry("a");
  one.add(a);
  expect(() => other.add(a)).toThrow(RangeError);
  expect(other.has(a)).toBe(false);
  expect(other.delete(a)).toBe(false);
  expect(one.has(a)).toBe(true);
});
