import fc from "fast-check";
import { expect, test } from "vitest";
import type { Timeline } from "./plan.ts";
import { stepTimeline, timelineStart } from "./timeline-step.ts";

const timelines = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 900 }), fc.integer({ min: 1, max: 300 })), { maxLength: 12 })
  .map(
    (times): Timeline => ({
      seed: 1,
      faults: times
        .sort(([a], [b]) => a - b)
        .map(([beginMs, forMs], index) => ({
          id: index + 1,
          fault: { kind: "kill" },
          on: { instance: "a" },
          beginMs,
          endMs: Math.min(1_000, beginMs + forMs),
        })),
      healAtMs: 1_000,
      endMs: 1_500,
    }),
  );

test("at each of its times, the active faults are those that have begun and not ended", () => {
  fc.assert(
    fc.property(timelines, fc.array(fc.integer({ min: 0, max: 40 })), (timeline, lates) => {
      let state = timelineStart;
      let nowMs = 0;
      for (let steps = 0; ; steps++) {
        expect(steps).toBeLessThan(50);
        const step = stepTimeline(timeline, state, nowMs);
        const due = timeline.faults.filter(({ beginMs, endMs }) => beginMs <= nowMs && nowMs < endMs);
        expect([...step.state.active].sort()).toEqual(nowMs < 1_000 ? due.map(({ id }) => id).sort() : []);
        for (const { id } of step.end) expect(state.active).toContain(id);
        for (const { id } of step.begin) expect(state.active).not.toContain(id);
        state = step.state;
        if (step.nextMs === undefined) {
          expect(step.phase).toBe("over");
          break;
        }
        expect(step.nextMs).toBeGreaterThan(nowMs);
        nowMs = step.nextMs + (lates[steps] ?? 0); // a driver may be late
      }
      expect(state).toEqual({ active: [], begun: timeline.faults.length });
    }),
  );
});

test("faults end before others begin, and the latest ends first", () => {
  const timeline: Timeline = {
    seed: 1,
    faults: [
      { id: 1, fault: { kind: "kill" }, on: { instance: "a" }, beginMs: 0, endMs: 100 },
      { id: 2, fault: { kind: "pause" }, on: { instance: "b" }, beginMs: 50, endMs: 100 },
      { id: 3, fault: { kind: "pause" }, on: { instance: "c" }, beginMs: 100, endMs: 200 },
    ],
    healAtMs: 300,
    endMs: 400,
  };
  let { state } = stepTimeline(timeline, timelineStart, 60);
  expect(state.active).toEqual([1, 2]);
  const step = stepTimeline(timeline, state, 100);
  expect(step.end.map(({ id }) => id)).toEqual([2, 1]);
  expect(step.begin.map(({ id }) => id)).toEqual([3]);
  state = step.state;
  expect(stepTimeline(timeline, state, 350)).toMatchObject({
    phase: "healing",
    nextMs: 400,
    end: [{ id: 3 }],
  });
});
