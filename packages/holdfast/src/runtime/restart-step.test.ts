import { expect, test } from "vitest";
import { seededRandom } from "../clock/index.ts";
import { initialRestartState, type RestartState, restartPolicy, stepRestart } from "./restart-step.ts";

const random = seededRandom(7);

/** Ends one after another: each `[atMs, readyForMs]`. */
function after(ends: readonly (readonly [number, number | undefined])[]) {
  let state: RestartState = initialRestartState;
  let delayMs = Number.NaN;
  for (const [atMs, readyForMs] of ends)
    ({ state, delayMs } = stepRestart(state, { atMs, readyForMs }, random));
  return { state, delayMs };
}

test("the first failure is answered at once", () => {
  expect(after([[40_000, 39_000]]).delayMs).toBe(0);
  expect(after([[100, undefined]]).delayMs).toBe(0);
});

test("waits double from failure to failure, with jitter, up to a bound", () => {
  const ends: (readonly [number, number])[] = [];
  for (let n = 1; n <= 12; n++) {
    ends.push([n * 10_000, 5_000]);
    const { delayMs, state } = after(ends);
    const highest = n === 1 ? 0 : Math.min(restartPolicy.capMs, restartPolicy.baseMs * 2 ** (n - 2));
    expect(delayMs).toBeGreaterThanOrEqual(highest / 2);
    expect(delayMs).toBeLessThanOrEqual(highest);
    expect(state.crashLoop).toBe(false);
  }
});

test("a stable run makes the next failure count as the first", () => {
  const { state, delayMs } = after([
    [1_000, undefined],
    [2_000, undefined],
    [40_000, restartPolicy.stableMs],
  ]);
  expect(state).toEqual({ failures: 1, earlyEndsAtMs: [], crashLoop: false });
  expect(delayMs).toBe(0);
});

test("five early ends within the window are a crash loop, retried slowly", () => {
  const four = [100, 200, 300, 400].map((atMs) => [atMs, undefined] as const);
  expect(after(four).state.crashLoop).toBe(false);
  const five = after([...four, [500, 20]]);
  expect(five.state.crashLoop).toBe(true);
  expect(five.delayMs).toBeGreaterThanOrEqual(restartPolicy.crashLoopMs / 2);
});

test("early ends that are far apart are no crash loop", () => {
  const ends = [1, 2, 3, 4, 5, 6].map((n) => [n * (restartPolicy.windowMs / 4 + 1), undefined] as const);
  expect(after(ends).state.crashLoop).toBe(false);
});

test("a crash loop lasts, however long the waits, until a run does not end early", () => {
  const five = [100, 200, 300, 400, 500].map((atMs) => [atMs, undefined] as const);
  const later = [...five, [100_000, undefined] as const];
  expect(after(later).state.crashLoop).toBe(true);
  expect(after([...later, [200_000, restartPolicy.earlyMs]]).state.crashLoop).toBe(false);
});

test("a process killed right after it proved ready is no crash loop", () => {
  const kills = [2_000, 4_000, 6_000, 8_000, 10_000].map((atMs) => [atMs, restartPolicy.earlyMs] as const);
  expect(after(kills).state.crashLoop).toBe(false);
});
