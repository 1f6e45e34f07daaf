import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeCursor, encodeCursor } from "../links/cursor.ts";

test("a cursor comes back as it was", () => {
  fc.assert(
    fc.property(
      fc.nat({ max: Number.MAX_SAFE_INTEGER }),
      fc.stringMatching(/^[A-Za-z0-9_-]{3,64}$/),
      fc.option(fc.string({ maxLength: 40 }), { nil: undefined }),
      (createdAtMs, code, tag) => {
        expect(decodeCursor(encodeCursor({ createdAtMs, code, tag }))).toEqual({ createdAtMs, code, tag });
      },
    ),
  );
});

test("no text but a cursor is taken, and none throws", () => {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  for (const text of [
    "",
    "%%%",
    "AAAA",
    "x".repeat(600),
    encode(null),
    encode({}),
    encode([1, "abc"]),
    encode([-1, "abc", null]),
    encode([1.5, "abc", null]),
    encode(["1", "abc", null]),
    encode([1, "a'; drop table link", null]),
    encode([1, "abc", 7]),
    `${encodeCursor({ createdAtMs: 1, code: "abc", tag: undefined })}=`,
  ])
    expect(decodeCursor(text), text).toBeUndefined();
  fc.assert(fc.property(fc.string(), (text) => decodeCursor(text) === undefined || true));
});
