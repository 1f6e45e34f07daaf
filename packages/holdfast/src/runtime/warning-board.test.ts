import { expect, test } from "vitest";
import type { DevelopmentWarning } from "../engines/postgres/warnings/warning.ts";
import { warningBoard } from "./warning-board.ts";

const warning = (about: string, count = 1): DevelopmentWarning => ({
  code: "n-plus-one",
  database: "blog",
  about,
  message: `${about} ${count}`,
  data: { count },
});

test("a warning of several instances is one, heard once, and gone when none of them sees it any more", () => {
  const board = warningBoard();
  expect(board.add("api-1", warning("a"))).toBe(true);
  expect(board.add("api-2", warning("a", 2))).toBe(false);
  expect(board.add("api-2", warning("b"))).toBe(true);
  expect(board.list()).toEqual([
    { ...warning("a", 2), instances: ["api-1", "api-2"] },
    { ...warning("b"), instances: ["api-2"] },
  ]);
  board.forget("api-2");
  expect(board.list()).toEqual([{ ...warning("a", 2), instances: ["api-1"] }]);
  board.forget("api-1");
  expect(board.list()).toEqual([]);
  expect(board.add("api-1", warning("a"))).toBe(false);
  expect(board.list()).toHaveLength(1);
});

test("however many there are, the board is bounded", () => {
  const board = warningBoard();
  for (let n = 0; n < 5_000; n++) board.add("api-1", warning(String(n)));
  expect(board.list()).toHaveLength(200);
  expect(board.list().at(-1)?.about).toBe("4999");
});
