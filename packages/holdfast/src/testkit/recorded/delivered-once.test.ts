import { expect, test } from "vitest";
import { type HistoryEvent, pairEvents } from "../../check/index.ts";
import { deliveredOnceInOrder } from "./delivered-once.ts";

type Published = readonly [number: number, end: "ok" | "fail" | "info"];

/** One client publishes to key `k`, one message after the other; then `delivered` is read. */
function judged(published: readonly Published[], delivered: readonly number[] | undefined) {
  const events: HistoryEvent[] = [];
  const add = (event: Omit<HistoryEvent, "index" | "timeNs">) =>
    events.push({ index: events.length, timeNs: events.length, ...event });
  published.forEach(([value, type], process) => {
    for (const kind of ["invoke", type] as const) add({ type: kind, process, f: "publish", key: "k", value });
  });
  if (delivered) {
    const process = published.length;
    add({ type: "invoke", process, f: "read", value: null });
    add({ type: "ok", process, f: "read", value: delivered.map((number) => ["k", number]) });
  }
  const { verdict, witnesses } = deliveredOnceInOrder.check(pairEvents(events).operations);
  return [verdict, ...witnesses.map(({ anomaly }) => anomaly)];
}

test("what was acknowledged is there once and in order; what is unknown may be there, also late", () => {
  expect(
    judged(
      [
        [1, "ok"],
        [2, "ok"],
      ],
      [1, 2],
    ),
  ).toEqual(["ok"]);
  expect(
    judged(
      [
        [1, "ok"],
        [2, "info"],
        [3, "ok"],
      ],
      [1, 3],
    ),
  ).toEqual(["ok"]);
  expect(
    judged(
      [
        [1, "ok"],
        [2, "info"],
        [3, "ok"],
      ],
      [1, 2, 3],
    ),
  ).toEqual(["ok"]);
  expect(
    judged(
      [
        [1, "info"],
        [2, "ok"],
      ],
      [2, 1],
    ),
  ).toEqual(["ok"]);
  expect(
    judged(
      [
        [1, "fail"],
        [2, "ok"],
      ],
      [2],
    ),
  ).toEqual(["ok"]);
});

test("each way of going wrong has its name", () => {
  expect(
    judged(
      [
        [1, "ok"],
        [2, "ok"],
      ],
      [1],
    ),
  ).toEqual(["illegal", "lost"]);
  expect(
    judged(
      [
        [1, "ok"],
        [2, "ok"],
      ],
      [1, 2, 2],
    ),
  ).toEqual(["illegal", "duplicate"]);
  expect(
    judged(
      [
        [1, "ok"],
        [2, "ok"],
      ],
      [2, 1],
    ),
  ).toEqual(["illegal", "reordered"]);
  expect(
    judged(
      [
        [1, "fail"],
        [2, "ok"],
      ],
      [1, 2],
    ),
  ).toEqual(["illegal", "failed-delivery"]);
  expect(judged([[1, "ok"]], [1, 7])).toEqual(["illegal", "phantom"]);
  expect(judged([[1, "info"]], [1, 1])).toEqual(["illegal", "duplicate"]);
});

test("without a last read nothing is certain", () => {
  expect(judged([[1, "ok"]], undefined)).toEqual(["unknown"]);
});
