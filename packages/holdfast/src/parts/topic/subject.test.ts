import fc from "fast-check";
import { expect, test } from "vitest";
import { patternProblems, subjectMatches, subjectProblem } from "./subject.ts";

/** The rule, word by word, as one would say it. */
function twin(pattern: readonly string[], subject: readonly string[]): boolean {
  const [head, ...rest] = pattern;
  if (head === undefined) return subject.length === 0;
  if (head === ">") return subject.length > 0;
  const [first, ...others] = subject;
  return first !== undefined && (head === "*" || head === first) && twin(rest, others);
}

const words = fc.array(fc.constantFrom("a", "b", "orders", "x-1", "_"), { minLength: 1, maxLength: 5 });
const patterns = fc
  .tuple(
    fc.array(fc.constantFrom("a", "b", "orders", "x-1", "_", "*"), { maxLength: 4 }),
    fc.constantFrom("a", "*", ">", "orders"),
  )
  .map(([some, last]) => [...some, last]);

test("a pattern matches as its words say", () => {
  fc.assert(
    fc.property(fc.array(patterns, { minLength: 1, maxLength: 4 }), words, (some, subject) => {
      const texts = some.map((pattern) => pattern.join("."));
      expect(patternProblems("only", texts)).toEqual([]);
      expect(subjectMatches(texts, subject.join("."))).toBe(some.some((pattern) => twin(pattern, subject)));
    }),
  );
});

test("a word is matched as a whole, and a dot is a dot", () => {
  expect(subjectMatches(["orders"], "ordersx")).toBe(false);
  expect(subjectMatches(["orders.eu"], "ordersxeu")).toBe(false);
  expect(subjectMatches(["orders.>"], "orders")).toBe(false);
  expect(subjectMatches(["orders.*"], "orders.eu.created")).toBe(false);
});

test("patterns that are none are named, all of them", () => {
  expect(patternProblems("only", ["a.>.b", "", "a..b", "ok.*", "a.#", 7, "a.*x"])).toHaveLength(6);
  expect(patternProblems("only", [])).toHaveLength(1);
  expect(
    patternProblems(
      "only",
      Array.from({ length: 65 }, () => "a"),
    ),
  ).toHaveLength(1);
});

test.each(["", "a.", ".a", "a..b", "a b", "a.*", "ü", "x".repeat(256)])("%j is no subject", (subject) => {
  expect(subjectProblem(subject)).toMatch(/words of letters/);
});
