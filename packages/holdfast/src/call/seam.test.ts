import { expect, test } from "vitest";
import { manualClock } from "../clock/index.ts";
import { HoldfastError } from "./holdfast-error.ts";
import { type OperationEnd, type OperationStart, Seam } from "./seam.ts";

test("an observer sees the start, the end, how long it took and how it ended", async () => {
  const clock = manualClock();
  const seam = new Seam(clock);
  const starts: OperationStart[] = [];
  const ends: OperationEnd[] = [];
  const stop = seam.observe({ start: (operation) => starts.push(operation), end: (end) => ends.push(end) });
  const write = (run: () => Promise<unknown>) =>
    seam.operation("database", "links", "write", undefined, run, { shard: 3 });
  expect(await write(() => clock.advance(5).then(() => "row"))).toBe("row");
  const refused = new HoldfastError("HOLDFAST_OVERLOADED", "full");
  await expect(write(() => Promise.reject(refused))).rejects.toBe(refused);
  await expect(write(() => Promise.reject(new Error("?")))).rejects.toThrow("?");
  stop();
  await write(async () => 1);
  expect(starts.map(({ id, part, operation }) => [id, part, operation])).toEqual(
    [1, 2, 3].map((id) => [id, "links", "write"]),
  );
  expect(ends.map(({ outcome, durationMs, error }) => [outcome, durationMs, error])).toEqual([
    ["applied", 5, undefined],
    ["not-applied", 0, refused],
    ["unknown", 0, new Error("?")],
  ]);
  expect(ends[0]?.attributes).toEqual({ shard: 3 });
});

test("what a caller threw to undo its operation is not applied, and the same error", async () => {
  const seam = new Seam(manualClock());
  const own = new Error("wrong edit key");
  const refuse = () =>
    seam.operation("database", "links", "write", undefined, async (undone) => {
      undone();
      throw own;
    });
  await expect(refuse()).rejects.toBe(own);
  const ends: OperationEnd[] = [];
  seam.observe({ end: (end) => ends.push(end) });
  await expect(refuse()).rejects.toBe(own);
  await expect(
    seam.operation("database", "links", "write", undefined, () => Promise.reject(own)),
  ).rejects.toBe(own);
  expect(ends.map(({ outcome, undone, error }) => [outcome, undone, error])).toEqual([
    ["not-applied", true, own],
    ["unknown", false, own],
  ]);
});

test("an observer that throws is dropped, and breaks neither the operation nor other observers", async () => {
  const seam = new Seam(manualClock());
  let broken = 0;
  let seen = 0;
  seam.observe({
    start() {
      broken++;
      throw new Error("observer");
    },
  });
  seam.observe({ end: () => seen++ });
  for (let i = 0; i < 2; i++)
    expect(await seam.operation("cache", "hot", "get", undefined, async () => i)).toBe(i);
  expect([broken, seen]).toEqual([1, 2]);
});
