import { seededRandom } from "holdfast/clock";
import * as v from "valibot";
import { expect, test } from "vitest";
import { CustomCode, drawCode, drawnCodeLength, isCode, isReserved } from "../links/code.ts";
import { derivedEditKey, opens, sha256 } from "../links/edit-key.ts";

test("drawn codes have eight characters of sixty-two, all equally likely", () => {
  const random = seededRandom(11);
  const seen = new Map<string, number>();
  const codes = new Set<string>();
  const draws = 20_000;
  for (let i = 0; i < draws; i++) {
    const code = drawCode(random.bytes);
    expect(code).toMatch(/^[0-9A-Za-z]{8}$/);
    codes.add(code);
    for (const character of code) seen.set(character, (seen.get(character) ?? 0) + 1);
  }
  expect(codes.size).toBe(draws);
  expect(seen.size).toBe(62);
  // Chi-squared with 61 degrees of freedom stays below 110 in 9,999 of 10,000 fair draws.
  const expected = (draws * drawnCodeLength) / 62;
  const chiSquared = [...seen.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  expect(chiSquared).toBeLessThan(110);
});

test("bytes that would favour some characters are thrown away", () => {
  let calls = 0;
  const code = drawCode((length) => new Uint8Array(length).fill(calls++ === 0 ? 255 : 61));
  expect(code).toBe("zzzzzzzz");
  expect(calls).toBe(2);
});

test("a chosen code has 3 to 64 plain characters and is no reserved word", () => {
  for (const code of ["abc", "Spring-Sale_26", "x".repeat(64)]) expect(v.is(CustomCode, code)).toBe(true);
  for (const code of [
    "ab",
    "x".repeat(65),
    "a b c",
    "grüße",
    "a/b",
    "a.b",
    "",
    "abc\n",
    "links",
    "Links",
    "STATS",
  ])
    expect(v.is(CustomCode, code), code).toBe(false);
  expect(isCode("favicon.ico")).toBe(false);
  expect(isReserved("API")).toBe(true);
});

test("an edit key opens its own link only", () => {
  const stored = sha256("the-key");
  expect(opens("the-key", stored)).toBe(true);
  expect(opens("the-kez", stored)).toBe(false);
  expect(opens("", stored)).toBe(false);
  expect(opens("the-key", "")).toBe(false);
});

test("a repeated creation derives the same edit key, another key or nonce a different one", () => {
  expect(derivedEditKey("nonce", "key")).toBe(derivedEditKey("nonce", "key"));
  expect(derivedEditKey("nonce", "key")).not.toBe(derivedEditKey("nonce", "kez"));
  expect(derivedEditKey("nonce", "key")).not.toBe(derivedEditKey("nonce2", "key"));
  expect(derivedEditKey("nonce", "key")).toMatch(/^[A-Za-z0-9_-]{43}$/);
});
