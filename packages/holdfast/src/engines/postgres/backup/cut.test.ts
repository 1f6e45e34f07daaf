/** Names of cuts; what a cut is on servers is shown with the restores. */
import { expect, test } from "vitest";
import { refuseCutName } from "./cut.ts";

test("a name is refused with what it should be when it is none that Postgres and a file could have", () => {
  for (const name of ["before-v2", "2026-05-04T10:15:00+02:00", "a".repeat(63)]) refuseCutName(name);
  for (const name of ["", "a b", "a'b", "a\nb", "ä", "a".repeat(64), "../x"]) {
    expect(() => refuseCutName(name)).toThrow(/1 to 63 letters/);
  }
});
