import { expect, test } from "vitest";
import { HoldfastError } from "../../../call/index.ts";
import { database } from "../declare.ts";

test("a lookup that is declared wrong is refused with every problem at once", () => {
  const declared = () =>
    database("users", {
      lookups: {
        "e-mail; drop table users": { unique: true },
        Email: {},
        city: { unique: "yes" as never, normalise: 5 as never, maxBytes: 0 },
        nick: { maxBytes: 1_025 },
        phone: true as never,
      },
    });
  expect(declared).toThrow(HoldfastError);
  for (const problem of [
    /the name "e-mail; drop table users" should have 1 to 40 letters/,
    /the name "Email" should have/,
    /lookups\.city\.unique should be true or false, got "yes"/,
    /lookups\.city\.normalise should be a function/,
    /lookups\.city\.maxBytes should be a whole number from 1 to 1024, got 0/,
    /lookups\.nick\.maxBytes should be .* got 1025/,
    /lookups\.phone should be an object such as \{ unique: true \}, got true/,
  ])
    expect(declared).toThrow(problem);
});

test("what is not said has its default", () => {
  const { lookups } = database("users", { lookups: { city: {} } }).options;
  expect(lookups.get("city")).toMatchObject({ unique: false, maxBytes: 512 });
  expect(lookups.get("city")?.normalise("As It Is ")).toBe("As It Is ");
  expect(database("none").options.lookups.size).toBe(0);
});
