/** Savepoints as the user's SQL has them, against a twin that keeps copies of everything. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { afterStatement, type Savepoint, savepointOf } from "./savepoints.ts";

test.each([
  ["savepoint a", { kind: "set", name: "a" }],
  ["  SAVEPOINT Abc ;", { kind: "set", name: "abc" }],
  ["/* why */ -- so\n savepoint étage_2", { kind: "set", name: "étage_2" }],
  ['savepoint "A ""b"""', { kind: "set", name: 'A "b"' }],
  ["release a", { kind: "release", name: "a" }],
  ["release savepoint a", { kind: "release", name: "a" }],
  ["rollback to a", { kind: "rollback", name: "a" }],
  ["ROLLBACK WORK TO SAVEPOINT a", { kind: "rollback", name: "a" }],
  ["rollback transaction to savepoint savepoint", { kind: "rollback", name: "savepoint" }],
  ["select 'savepoint a'", undefined],
  ["insert into savepoint values (1)", undefined],
  ["rollback", undefined],
])("%s", (text, expected) => {
  expect(savepointOf(text)).toEqual(expected);
});

const act = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ kind: "publish" } as const) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom("set", "release", "rollback"),
      name: fc.constantFrom("a", "b", "c"),
    }),
  },
);

test("any sequence leaves what a transaction that keeps copies of itself has left", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
      let rows = 0;
      let published: number[] = [];
      let savepoints: readonly Savepoint[] = [];
      let twin: { name: string; published: number[] }[] = [];
      for (const [number, one] of acts.entries()) {
        if (one.kind === "publish") {
          rows++;
          published = [...published, number];
          continue;
        }
        const found = twin.findLastIndex(({ name }) => name === one.name);
        if (one.kind === "set") twin = [...twin, { name: one.name, published }];
        else if (found < 0)
          continue; // the server refuses it
        else if (one.kind === "release") twin = twin.slice(0, found);
        else {
          twin = twin.slice(0, found + 1);
          published = twin[found]?.published ?? [];
        }
        ({ savepoints, rows } = afterStatement(savepoints, one, rows));
        expect(rows).toBe(published.length);
      }
      expect(savepoints.map(({ name }) => name)).toEqual(twin.map(({ name }) => name));
    }),
  );
});
