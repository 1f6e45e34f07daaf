import fc from "fast-check";
import { expect, test } from "vitest";
import { tableProblems } from "./reference-migrate.ts";
import { parentsFirst, type TableShape } from "./reference-tables.ts";

const shape = (table: string, parents: readonly string[] = [], primaryKey = ["id"]): TableShape => ({
  table,
  parents,
  primaryKey,
  columns: [],
  guarded: true,
});

test("every table comes behind those that it points at, whatever they are called", () => {
  // Points only at lower numbers, so that there is an order; the names are shuffled.
  const graphs = fc.integer({ min: 0, max: 12 }).chain((count) =>
    fc.tuple(
      fc.array(fc.array(fc.nat(), { maxLength: 4 }), { minLength: count, maxLength: count }),
      fc.shuffledSubarray(
        Array.from({ length: count }, (_, n) => `t${n}`),
        { minLength: count },
      ),
    ),
  );
  fc.assert(
    fc.property(graphs, ([pointers, names]) => {
      const shapes = pointers.map((numbers, n) =>
        shape(
          names[n] as string,
          n === 0 ? [] : [...new Set(numbers.map((number) => names[number % n] as string))],
        ),
      );
      const ordered = parentsFirst(shapes.toSorted((a, b) => (a.table < b.table ? -1 : 1)));
      expect(ordered?.length).toBe(shapes.length);
      const seen = new Set<string>();
      for (const { table, parents } of ordered ?? []) {
        for (const parent of parents) expect(seen.has(parent)).toBe(true);
        seen.add(table);
      }
    }),
  );
});

test("a circle has no order, however long it is", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 10 }), (length) => {
      const circle = Array.from({ length }, (_, n) => shape(`t${n}`, [`t${(n + 1) % length}`]));
      expect(parentsFirst([shape("free"), ...circle])).toBeUndefined();
    }),
  );
});

test("what cannot be copied is told, all of it", () => {
  expect(tableProblems([shape("a"), shape("b", ["a"])], ["a", "b"])).toEqual([]);
  expect(tableProblems([shape("a", [], []), shape("c")], ["a", "b"])).toEqual([
    expect.stringContaining('names "b"'),
    expect.stringContaining('"a" has no primary key'),
    expect.stringContaining('make "c"'),
  ]);
});
