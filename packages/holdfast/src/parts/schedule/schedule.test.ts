import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { isoTime } from "../../clock/index.ts";
import { topic } from "../topic/index.ts";
import { schedule } from "./declare.ts";
import { type DueRule, dueStep, jitterOf } from "./due-step.ts";
import { cronTicks, everyTicks, type Ticks } from "./ticks.ts";

const ms = (iso: string) => Date.parse(iso);
const hourMs = 3_600_000;

function chain(ticks: Ticks, from: string, count: number): string[] {
  const found: string[] = [];
  for (let at = ticks.next(ms(from)); at !== undefined && found.length < count; at = ticks.next(at))
    found.push(isoTime(at).slice(5, 16));
  return found;
}

describe("cron", () => {
  test.each([
    // Berlin: no 02:00 to 03:00 on 29 March 2026, and twice that hour on 25 October.
    [
      "one time in the gap ticks at its end",
      "30 2 * * *",
      "Europe/Berlin",
      "2026-03-28T12:00Z",
      ["03-29T01:00", "03-30T00:30"],
    ],
    [
      "two in the gap tick once",
      "0,30 2 * * *",
      "Europe/Berlin",
      "2026-03-28T12:00Z",
      ["03-29T01:00", "03-30T00:00"],
    ],
    [
      "a step in the gap does not tick",
      "*/30 2 * * *",
      "Europe/Berlin",
      "2026-03-28T12:00Z",
      ["03-30T00:00", "03-30T00:30"],
    ],
    [
      "every half hour goes on over the gap",
      "*/30 * * * *",
      "Europe/Berlin",
      "2026-03-29T00:15Z",
      ["03-29T00:30", "03-29T01:00", "03-29T01:30"],
    ],
    [
      "one time in the overlap ticks the first time",
      "30 2 * * *",
      "Europe/Berlin",
      "2026-10-24T12:00Z",
      ["10-25T00:30", "10-26T01:30"],
    ],
    [
      "a step in the overlap ticks both times",
      "*/30 2 * * *",
      "Europe/Berlin",
      "2026-10-24T12:00Z",
      ["10-25T00:00", "10-25T00:30", "10-25T01:00", "10-25T01:30", "10-26T01:00"],
    ],
    [
      "every hour ticks each hour",
      "0 * * * *",
      "Europe/Berlin",
      "2026-10-24T23:30Z",
      ["10-25T00:00", "10-25T01:00", "10-25T02:00"],
    ],
    [
      "a midnight that there is not ticks at one",
      "0 0 * * *",
      "America/Santiago",
      "2026-09-05T12:00Z",
      ["09-06T04:00", "09-07T03:00"],
    ],
    [
      "half an hour of difference",
      "15 2 * * *",
      "Australia/Lord_Howe",
      "2026-10-02T10:00Z",
      ["10-02T15:45", "10-03T15:30", "10-04T15:15"],
    ],
    ["the last day", "0 0 L * *", "UTC", "2027-12-31T12:00Z", ["01-31T00:00", "02-29T00:00", "03-31T00:00"]],
    [
      "the first Monday, by name",
      "0 9 * JAN,FEB MON#1",
      "UTC",
      "2026-01-01T00:00Z",
      ["01-05T09:00", "02-02T09:00"],
    ],
    [
      "six fields begin with the second",
      "*/20 0 0 1 1 *",
      "UTC",
      "2025-12-31T00:00Z",
      ["01-01T00:00", "01-01T00:00", "01-01T00:00"],
    ],
  ])("%s", (_, cron, timeZone, from, expected) => {
    expect(chain(cronTicks(cron, timeZone), from, expected.length)).toEqual(expected);
  });

  test("from wherever it is asked, the next tick is the same one, and the newest are the last of them", () => {
    const rules = ["30 2 * * *", "*/20 1-4 * * *", "0,45 1-3 * * *", "*/15 * * * *"];
    const zones = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"];
    const starts = ["2026-03-28T00:00Z", "2026-10-24T00:00Z", "2026-10-31T00:00Z", "2026-04-03T12:00Z"].map(
      ms,
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...rules),
        fc.constantFrom(...zones),
        fc.constantFrom(...starts),
        fc.integer({ min: 0, max: 48 * hourMs }),
        fc.integer({ min: 1, max: 8 }),
        (rule, zone, startMs, afterMs, count) => {
          const ticks = cronTicks(rule, zone);
          const at = startMs + afterMs;
          const all: number[] = [];
          for (
            let tick = ticks.next(startMs);
            tick !== undefined && tick <= startMs + 96 * hourMs;
            tick = ticks.next(tick)
          )
            all.push(tick);
          expect(ticks.next(at)).toBe(all.find((tick) => tick > at));
          expect(ticks.newest(count, startMs, at)).toEqual(all.filter((tick) => tick <= at).slice(-count));
        },
      ),
      { numRuns: 60 },
    );
  });
});

test("intervals are counted from the epoch, whoever counts", () => {
  const ticks = everyTicks(1_000, 250);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 45 }), fc.integer({ min: 1, max: 20 }), (at, count) => {
      const next = ticks.next(at);
      expect(next).toBeGreaterThan(at);
      expect([(next as number) % 1_000, (next as number) - at <= 1_000]).toEqual([250, true]);
      const newest = ticks.newest(count, at, at + 10_000);
      expect(newest).toHaveLength(Math.min(count, 10));
      expect(newest.at(-1)).toBe((ticks.next(at + 10_000) as number) - 1_000);
    }),
  );
});

describe("what is due", () => {
  const rule = (more: Partial<DueRule> = {}): DueRule => ({
    ticks: everyTicks(10, 0),
    missed: "all",
    lateMs: 25,
    missedMax: 5,
    delayMs: 0,
    ...more,
  });

  test.each([
    ["all", [60, 70, 80, 90, 100]],
    ["last", [100]],
    ["skip", [100]],
  ] as const)("after a time in which nothing ran: %s", (missed, send) => {
    expect(dueStep(rule({ missed }), 0, 104)).toEqual({ send, lastMs: 100, wakeMs: 110 });
  });

  test("skip leaves out what is too old, and goes on with the next", () => {
    const daily = rule({ missed: "skip", ticks: everyTicks(1_000, 0) });
    expect(dueStep(daily, 0, 1_025).send).toEqual([1_000]);
    expect(dueStep(daily, 0, 1_026)).toEqual({ send: [], lastMs: 1_000, wakeMs: 2_000 });
  });

  test("a clock that goes back finds nothing due until it has passed what was sent", () => {
    expect(dueStep(rule(), 100, 30)).toEqual({ send: [], lastMs: 100, wakeMs: 110 });
  });

  test("jitter delays every tick of a schedule alike", () => {
    expect(dueStep(rule({ delayMs: 4 }), 0, 13)).toEqual({ send: [], lastMs: 0, wakeMs: 14 });
    expect(dueStep(rule({ delayMs: 4 }), 0, 14)).toEqual({ send: [10], lastMs: 10, wakeMs: 24 });
    const shares = Array.from({ length: 100 }, (_, n) => jitterOf(`report-${n}`, 60_000));
    expect(new Set(shares).size).toBeGreaterThan(90);
    expect(Math.max(...shares)).toBeLessThan(60_000);
  });

  test("whenever it is looked, by clocks that jump both ways, each tick is sent at most once and in order", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -400, max: 400 }), { maxLength: 40 }),
        fc.constantFrom("all", "last", "skip"),
        fc.integer({ min: 0, max: 9 }),
        (jumps, missed, delayMs) => {
          const one = rule({ missed: missed as "all", delayMs, missedMax: 3 });
          let lastMs = 1_000;
          let nowMs = 1_000;
          const sent: number[] = [];
          for (const jump of jumps) {
            nowMs = Math.max(0, nowMs + jump);
            const due = dueStep(one, lastMs, nowMs);
            sent.push(...due.send);
            for (const tick of due.send) expect(tick + delayMs).toBeLessThanOrEqual(nowMs);
            expect(due.lastMs).toBeGreaterThanOrEqual(lastMs);
            expect(due.wakeMs).toBeGreaterThan(nowMs - 10);
            lastMs = due.lastMs;
          }
          expect(sent).toEqual([...new Set(sent)].sort((a, b) => a - b));
        },
      ),
    );
  });

  test("looked at often enough, no policy leaves a tick out", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 60 }),
        fc.constantFrom("all", "last", "skip"),
        (steps, missed) => {
          const one = rule({ missed: missed as "all" });
          let [lastMs, nowMs] = [0, 0];
          const sent: number[] = [];
          for (const step of steps) {
            nowMs += step;
            const due = dueStep(one, lastMs, nowMs);
            sent.push(...due.send);
            lastMs = due.lastMs;
          }
          expect(sent).toEqual(Array.from({ length: Math.floor(nowMs / 10) }, (_, n) => (n + 1) * 10));
        },
      ),
    );
  });
});

describe("declaring", () => {
  const reports = topic("reports", { schema: z.object({ day: z.string() }), keyBy: ({ day }) => day });
  const message = ({ scheduledAt }: { scheduledAt: string }) => ({ day: scheduledAt.slice(0, 10) });

  test("it tells when it ticks without a world", () => {
    const nightly = schedule("nightly", {
      cron: "0 3 * * *",
      timeZone: "Europe/Berlin",
      to: reports,
      message,
    });
    expect(nightly.next(ms("2026-03-28T12:00Z"), 2).map(isoTime)).toEqual([
      "2026-03-29T01:00:00.000Z",
      "2026-03-30T01:00:00.000Z",
    ]);
    expect(nightly.options).toMatchObject({
      missed: "last",
      rule: "cron 0 3 * * * in Europe/Berlin",
      delayMs: 0,
    });
  });

  test("the message has to be the destination's", () => {
    // @ts-expect-error: reports have a day
    schedule("nightly", { cron: "0 3 * * *", to: reports, message: () => ({ night: 1 }) });
  });

  test("every problem is told at once", () => {
    const wrong = {
      timeZone: "Mars/Base",
      cron: "61 * * * *",
      to: {},
      message: 1,
      missed: "some",
      lateMs: 1,
      missedMax: 0,
      jitterMs: -1,
    };
    expect(() => schedule("Nightly!", wrong as never)).toThrow(
      expect.objectContaining({
        code: "HOLDFAST_OPTIONS_INVALID",
        data: {
          problems: [
            expect.stringMatching(/^schedule name "Nightly!"/),
            'timeZone should be an IANA time zone such as "Europe/Berlin" or "UTC", got "Mars/Base"',
            "to should be a topic or a queue: it gets the message",
            "message should be a function from a tick to the message that is sent",
            'missed should be "skip", "last" or "all", got "some"',
            "lateMs should be at least 1000, got 1",
            "missedMax should be a whole number from 1 to 1000, got 0",
            "jitterMs should be a whole number from 0 to 3600000, got -1",
          ],
        },
      }),
    );
  });

  test.each([
    [{ cron: "61 * * * *" }, 'cron "61 * * * *": Invalid value for minute: 61'],
    [
      { cron: "@daily" },
      'cron should have five fields such as "0 3 * * *", or six with the second first, got "@daily"',
    ],
    [{ cron: "0 0 0 1 1 * 2030" }, "cron should have five fields"],
    [{ cron: "0 0 30 2 *" }, 'cron "0 0 30 2 *" never ticks: there is no such day'],
    [{}, 'say when: cron such as "0 3 * * *", or every: { ms: 60_000 }'],
    [{ cron: "* * * * *", every: { ms: 1_000 } }, "cron and every are two rules for one schedule"],
    [{ every: { ms: 5 } }, "every.ms should be a whole number, 100 or more, got 5"],
    [
      { every: { ms: 500, offsetMs: 500 } },
      "every.offsetMs should be a whole number from 0 up to every.ms, got 500",
    ],
  ])("%j", (when, problem) => {
    expect(() => schedule("nightly", { ...when, to: reports, message } as never)).toThrow(problem);
  });
});
