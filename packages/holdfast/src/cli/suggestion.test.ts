import { expect, test } from "vitest";
import { editDistance, suggestion } from "./suggestion.ts";

test("the distance counts insertions, deletions and changes", () => {
  expect(editDistance("kitten", "sitting")).toBe(3);
  expect(editDistance("", "abc")).toBe(3);
  expect(editDistance("same", "same")).toBe(0);
});

test("a near word is suggested, a far one is not", () => {
  expect(suggestion("dwon", ["up", "down", "status"])).toBe("down");
  expect(suggestion("stat", ["up", "down", "status"])).toBe("status");
  expect(suggestion("reboot", ["up", "down", "status"])).toBeUndefined();
});
