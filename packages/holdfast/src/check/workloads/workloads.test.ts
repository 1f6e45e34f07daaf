import { describe, expect, test } from "vitest";
import type { HistoryEvent } from "../history/event.ts";
import { pairEvents } from "../history/pairing.ts";
import { checkers, findChecker } from "../registry.ts";
import { checkBank } from "./bank.ts";
import { checkTotalQueue } from "./queue.ts";
import { checkSetFull } from "./set.ts";

type Line = readonly [
  process: number,
  f: string,
  input: unknown,
  output?: unknown,
  outcome?: "ok" | "fail" | "info",
];

/** One operation after the other; `begun` are under way from before the first to after the last. */
function operations(lines: readonly Line[], begun: readonly Line[] = []) {
  const events: HistoryEvent[] = [];
  const add = (type: HistoryEvent["type"], process: number, f: string, value: unknown) =>
    events.push({ index: events.length, timeNs: events.length * 1_000, type, process, f, value });
  for (const [process, f, input] of begun) add("invoke", process, f, input);
  for (const [process, f, input, output = input, outcome = "ok"] of lines) {
    add("invoke", process, f, input);
    add(outcome, process, f, output);
  }
  for (const [process, f, input, output = input, outcome = "ok"] of begun) add(outcome, process, f, output);
  return pairEvents(events).operations;
}

function judge(model: string, lines: readonly Line[], begun: readonly Line[] = []) {
  const result = findChecker(model)?.check(operations(lines, begun));
  return [result?.verdict, ...new Set(result?.witnesses.map(({ anomaly }) => anomaly))];
}

const w = (key: string) => [["w", key, 1]];
const r = (x: number | null, y: number | null) => [
  ["r", "x", x],
  ["r", "y", y],
];

describe("each anomaly of each workload, and beside it what is fine", () => {
  test.each<[string, string, readonly Line[], readonly Line[]]>([
    [
      "bank",
      "wrong-total",
      [
        [0, "read", null, { a: 5, b: 5 }],
        [1, "read", null, { a: 5, b: 5 }],
        [2, "read", null, { a: 4, b: 5 }],
      ],
      [
        [0, "read", null, { a: 5, b: 5 }],
        [2, "read", null, { a: 4, b: 6 }],
      ],
    ],
    ["bank", "negative-balance", [[0, "read", null, { a: -1, b: 11 }]], [[0, "read", null, { a: 0, b: 10 }]]],
    [
      "bank",
      "missing-account",
      [
        [0, "read", null, { a: 5, b: 5 }],
        [1, "read", null, { a: 10 }],
      ],
      [
        [0, "read", null, { a: 5, b: 5 }],
        [1, "read", null, { a: 10, b: 0 }],
      ],
    ],
    ["bank", "nil-balance", [[0, "read", null, { a: 5, b: null }]], [[0, "read", null, { a: 5, b: 0 }]]],
    [
      "long-fork",
      "long-fork",
      [
        [0, "txn", w("x")],
        [1, "txn", w("y")],
        [2, "txn", r(null, null), r(1, null)],
        [3, "txn", r(null, null), r(null, 1)],
      ],
      [
        [0, "txn", w("x")],
        [1, "txn", w("y")],
        [2, "txn", r(null, null), r(1, null)],
        [3, "txn", r(null, null), r(1, 1)],
      ],
    ],
    [
      "set-final",
      "lost",
      [
        [0, "add", 1],
        [0, "add", 2],
        [1, "read", null, [2]],
      ],
      [
        [0, "add", 1],
        [0, "add", 2, 2, "info"],
        [1, "read", null, [1]],
      ],
    ],
    [
      "set-final",
      "unexpected",
      [
        [0, "add", 1],
        [1, "read", null, [1, 7]],
      ],
      [
        [0, "add", 1],
        [0, "add", 7, 7, "info"],
        [1, "read", null, [1, 7]],
      ],
    ],
    [
      "set-final",
      "aborted",
      [
        [0, "add", 1, 1, "fail"],
        [1, "read", null, [1]],
      ],
      [
        [0, "add", 1, 1, "fail"],
        [1, "read", null, []],
      ],
    ],
    [
      "set-full-fresh",
      "stale",
      [
        [0, "add", 1],
        [1, "read", null, []],
        [1, "read", null, [1]],
      ],
      [
        [1, "read", null, []],
        [0, "add", 1],
        [1, "read", null, [1]],
      ],
    ],
    [
      "set-full",
      "lost",
      [
        [0, "add", 1],
        [1, "read", null, [1]],
        [1, "read", null, []],
      ],
      [
        [0, "add", 1],
        [1, "read", null, [1]],
        [1, "read", null, [1]],
      ],
    ],
    [
      "set-full",
      "unexpected",
      [[1, "read", null, [3]]],
      [
        [0, "add", 3, 3, "info"],
        [1, "read", null, [3]],
      ],
    ],
    [
      "set-full",
      "aborted",
      [
        [0, "add", 3, 3, "fail"],
        [1, "read", null, [3]],
      ],
      [
        [0, "add", 3, 3, "fail"],
        [1, "read", null, []],
      ],
    ],
    [
      "total-queue",
      "lost",
      [
        [0, "enqueue", 1],
        [0, "enqueue", 2],
        [1, "drain", null, [2]],
      ],
      [
        [0, "enqueue", 1],
        [0, "enqueue", 2],
        [1, "dequeue", null, 2],
        [1, "dead-letters", null, [1]],
      ],
    ],
    [
      "total-queue-once",
      "duplicated",
      [
        [0, "enqueue", 1],
        [1, "dequeue", null, 1],
        [1, "dequeue", null, 1],
      ],
      [
        [0, "enqueue", 1],
        [1, "dequeue", null, 1],
        [1, "dequeue", null, null],
      ],
    ],
    [
      "total-queue",
      "unexpected",
      [[1, "dequeue", null, 9]],
      [
        [0, "enqueue", 9, 9, "info"],
        [1, "dequeue", null, 9],
      ],
    ],
    [
      "unique-ids",
      "duplicate",
      [
        [0, "generate", null, 4],
        [1, "generate", null, 4],
      ],
      [
        [0, "generate", null, 4],
        [1, "generate", null, 5],
      ],
    ],
  ])("%s: %s", (model, anomaly, illegal, fine) => {
    expect(judge(model, illegal)).toEqual(["illegal", anomaly]);
    expect(judge(model, fine)).toEqual(["ok"]);
  });

  test("an add that was under way during a read may be in it or not", () => {
    expect(judge("set-full", [[1, "read", null, []]], [[0, "add", 1]])).toEqual(["ok"]);
    expect(
      judge(
        "set-full",
        [
          [1, "read", null, [1]],
          [1, "read", null, []],
        ],
        [[0, "add", 1]],
      ),
    ).toEqual(["illegal", "lost"]);
  });

  test("what promises are made is an argument", () => {
    const owing = operations([[0, "read", null, { a: -1, b: 11 }]]);
    expect(checkBank(owing, { negativeAllowed: true }).verdict).toBe("ok");
    expect(checkBank(owing, { negativeAllowed: true, total: 11 }).verdict).toBe("illegal");
    const twice = operations([
      [0, "enqueue", 1],
      [1, "dequeue", null, 1],
      [1, "dequeue", null, 1],
    ]);
    expect(checkTotalQueue(twice, { redeliveryAllowed: false }).verdict).toBe("illegal");
  });

  test("at least once and stale for a while are told, and are no contradictions", () => {
    const twice = checkTotalQueue(
      operations([
        [0, "enqueue", 1],
        [1, "dequeue", null, 1],
        [1, "dequeue", null, 1],
      ]),
    );
    expect([twice.verdict, twice.notes]).toEqual([
      "ok",
      expect.arrayContaining([expect.stringContaining("redelivered: 1")]),
    ]);
    const late = checkSetFull(
      operations([
        [0, "add", 1],
        [1, "read", null, []],
        [1, "read", null, [1]],
      ]),
    );
    expect([late.verdict, late.notes]).toEqual([
      "ok",
      expect.arrayContaining([expect.stringContaining("stale: 1")]),
    ]);
  });

  test("a message that a dequeue of unknown outcome may have got is not called lost, nor ok", () => {
    expect(
      judge("total-queue", [
        [0, "enqueue", 1],
        [1, "dequeue", null, null, "info"],
      ]),
    ).toEqual(["unknown"]);
  });

  test("without a read there is nothing to say", () => {
    expect(judge("set-final", [[0, "add", 1]])).toEqual(["unknown"]);
    expect(judge("bank", [[0, "transfer", { from: "a", to: "b", amount: 1 }]])).toEqual(["unknown"]);
  });
});

test("no two checkers share a name", () => {
  const names = checkers.map(({ name }) => name);
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
});
