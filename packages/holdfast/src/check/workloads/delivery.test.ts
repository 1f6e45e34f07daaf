import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { delivering, type Mistake, mistakes } from "../fixtures/delivering.ts";
import type { Operation } from "../history/event.ts";
import { pairEvents } from "../history/pairing.ts";
import { findChecker } from "../registry.ts";
import { checkDelivery } from "./delivery.ts";
import type { AttemptValue } from "./delivery-facts.ts";

const runs = fc.array(fc.nat(100_000), { maxLength: 120, size: "max" });
const judged = (operations: readonly Operation[], inOrder = true) => {
  const { verdict, witnesses } = checkDelivery(operations, { inOrder, completionIsFinal: true });
  return { verdict, anomalies: new Set(witnesses.map(({ anomaly }) => anomaly)) };
};

test("whatever an obvious queue does is fine, with attempts that fail, die, are replaced and come too late", () => {
  fc.assert(
    fc.property(runs, (choices) => {
      const { events } = delivering(choices);
      expect(judged(pairEvents(events).operations)).toEqual({ verdict: "ok", anomalies: new Set() });
    }),
    { numRuns: 500 },
  );
});

describe("each mistake of that queue is found, whenever it is made", () => {
  test.each(Object.entries(mistakes) as [Mistake, string][])("%s: %s", (mistake, anomaly) => {
    let found = 0;
    fc.assert(
      fc.property(runs, (choices) => {
        const { events, made } = delivering(choices, mistake);
        if (!made) return;
        found++;
        const { operations } = pairEvents(events);
        expect([...judged(operations).anomalies]).toContain(anomaly);
        // Order is the only one of them that not everybody promises.
        if (mistake !== "overtake") expect([...judged(operations, false).anomalies]).toContain(anomaly);
      }),
      { numRuns: 400 },
    );
    expect(found).toBeGreaterThan(20);
  });
});

test("an obvious twin, which compares everything with everything, finds the same in any history", () => {
  fc.assert(
    fc.property(anyHistory(), (events) => {
      const { operations } = pairEvents(events);
      expect([...judged(operations).anomalies].sort()).toEqual([...twin(operations)].sort());
    }),
    { numRuns: 1_000 },
  );
});

test("without the reads that tell where things are, nothing is called lost, nor ok", () => {
  const acknowledged = [event("invoke", 0, "publish", 1), event("ok", 0, "publish", 1)];
  const died = [event("invoke", 1, "attempt", { attempt: 1, messages: [1] })];
  const pending = [event("invoke", 2, "pending", null), event("ok", 2, "pending", [])];
  const verdicts = [acknowledged, [...acknowledged, ...died, ...pending], [...acknowledged, ...pending]].map(
    (events) => {
      const result = checkDelivery(pairEvents(numbered(events)).operations);
      return [result.verdict, result.reason ?? result.witnesses[0]?.summary];
    },
  );
  expect(verdicts).toEqual([
    ["unknown", "nobody read at the end what is pending, so nothing says where these are: 1"],
    ["unknown", "attempts of unknown outcome may have completed these, and nobody read what is done: 1"],
    ["illegal", "1 acknowledged messages were never delivered, nor are they dead letters or pending: 1."],
  ]);
});

test("attempts may be counted in several numbers, the first of which counts most", () => {
  const put = [event("invoke", 0, "publish", 1), event("ok", 0, "publish", 1)];
  const attempt = (process: number, number: readonly number[], end: "ok" | "fail") => {
    const value = { attempt: number, messages: [1] };
    return [event("invoke", process, "attempt", value), event(end, process, "attempt", value)];
  };
  const of = (...parts: ReturnType<typeof event>[][]) =>
    checkDelivery(pairEvents(numbered(parts.flat())).operations, { completionIsFinal: true }).verdict;
  expect(of(put, attempt(1, [1, 2], "fail"), attempt(2, [2, 1], "ok"))).toBe("ok");
  expect(of(put, attempt(1, [1, 2], "ok"), attempt(2, [2, 1], "fail"))).toBe("illegal");
  expect(of(put, attempt(1, [1, 2], "fail"), attempt(2, [1, 2], "ok"))).toBe("illegal");
});

test("values of another shape are told, all at once, with what they should be", () => {
  const { operations } = pairEvents(
    numbered([
      event("invoke", 0, "attempt", { job: 1 }),
      event("ok", 0, "attempt", { job: 1 }),
      event("invoke", 0, "pending", null),
      event("ok", 0, "pending", 3),
    ]),
  );
  expect(findChecker("delivery")?.problems?.(operations)).toEqual([
    {
      problem:
        'event 0: the value of an attempt should be {"attempt": 1, "messages": [...]}, where attempt is a number or a list of numbers; got {job 1}',
    },
    { problem: "event 2: pending should answer with a list of messages; got 3" },
  ]);
});

type Event = Parameters<typeof numbered>[0][number];

function event(type: "invoke" | "ok" | "fail" | "info", process: number, f: string, value: unknown) {
  return { type, process, f, value };
}

function numbered(
  events: readonly {
    type: "invoke" | "ok" | "fail" | "info";
    process: number;
    f: string;
    value: unknown;
    key?: unknown;
  }[],
) {
  return events.map((one, index) => ({ index, timeNs: index, ...one }));
}

/** A few messages of two keys, put in once each, and any attempts and reads at all. */
function anyHistory() {
  const id = fc.integer({ min: 1, max: 5 });
  const outcome = fc.constantFrom("ok" as const, "fail" as const, "info" as const, undefined);
  const operation = fc.oneof(
    { weight: 3, arbitrary: fc.record({ f: fc.constant("publish"), value: id, outcome }) },
    {
      weight: 4,
      arbitrary: fc.record({
        f: fc.constant("attempt"),
        value: fc.record({
          attempt: fc.integer({ min: 1, max: 3 }),
          messages: fc.uniqueArray(id, { minLength: 1, maxLength: 2 }),
        }),
        outcome,
      }),
    },
  );
  const lists = fc.record({
    effects: fc.array(id, { maxLength: 5 }),
    done: fc.uniqueArray(id),
    "dead-letters": fc.uniqueArray(id),
    pending: fc.uniqueArray(id),
  });
  return fc
    .tuple(fc.array(operation, { maxLength: 12 }), fc.array(fc.nat()), lists)
    .map(([all, order, reads]) => {
      const events: Event[] = [];
      const open: (() => void)[] = [];
      const put = new Set<unknown>();
      for (const [process, { f, value, outcome: end }] of all.entries()) {
        if (f === "publish" && put.has(value)) continue;
        if (f === "publish") put.add(value);
        const key = f === "publish" ? { key: (value as number) % 2 } : {};
        events.push({ type: "invoke", process, f, value, ...key });
        if (end) open.push(() => events.push({ type: end, process, f, value, ...key }));
        // Some end at once, others later.
        if ((order[process] ?? 0) % 3 !== 0) open.shift()?.();
      }
      for (const close of open) close();
      for (const [f, value] of Object.entries(reads)) {
        events.push(
          { type: "invoke", process: 1_000, f, value: null },
          { type: "ok", process: 1_000, f, value },
        );
      }
      return numbered(events);
    });
}

function twin(operations: readonly Operation[]): Set<string> {
  const found = new Set<string>();
  const listed = (f: string) => (operations.find((one) => one.f === f)?.output ?? []) as number[];
  const [effects, done, dead, pending] = ["effects", "done", "dead-letters", "pending"].map(listed) as [
    number[],
    number[],
    number[],
    number[],
  ];
  const puts = operations.filter(({ f }) => f === "publish");
  const attemptsOf = (id: unknown) =>
    operations.filter(({ f, input }) => f === "attempt" && (input as AttemptValue).messages.includes(id));
  const number = ({ input }: Operation) => (input as AttemptValue).attempt as number;
  for (const id of [1, 2, 3, 4, 5]) {
    const put = puts.find(({ input }) => input === id);
    const attempts = attemptsOf(id);
    const somewhere = [effects, done, dead, pending].some((list) => list.includes(id));
    if ((somewhere || attempts.length > 0) && (!put || put.outcome === "fail")) found.add("unexpected");
    const completed = attempts.filter(({ outcome }) => outcome === "ok");
    if (put?.outcome === "ok" && !somewhere && completed.length === 0) found.add("lost");
    if (effects.filter((one) => one === id).length > 1) found.add("effect-twice");
    if ((completed.length > 0 || done.includes(id)) && !effects.includes(id)) found.add("effect-missing");
    for (const one of attempts)
      for (const other of attempts)
        if (one !== other && number(one) === number(other)) found.add("same-attempt-twice");
    for (const one of completed) {
      const higher = attempts.filter((other) => number(other) > number(one));
      if (higher.some((other) => other.callIndex < one.returnIndex)) found.add("stale-completion");
      else if (higher.length > 0) found.add("again-after-done");
    }
  }
  for (const a of puts) {
    for (const b of puts) {
      if (a.key !== b.key || a.outcome === "fail" || b.outcome === "fail") continue;
      if (!(a.returnIndex < b.callIndex)) continue;
      const completed = attemptsOf(a.input).find(({ outcome }) => outcome === "ok");
      for (const attempt of attemptsOf(b.input)) {
        const { messages } = attempt.input as AttemptValue;
        const inTurn = messages.includes(a.input) && messages.indexOf(a.input) < messages.indexOf(b.input);
        if (completed && attempt.callIndex <= completed.callIndex && !inTurn) found.add("overtaken");
      }
      const [first, second] = [effects.indexOf(a.input as number), effects.indexOf(b.input as number)];
      if (first >= 0 && second >= 0 && second < first) found.add("reordered");
    }
  }
  return found;
}
