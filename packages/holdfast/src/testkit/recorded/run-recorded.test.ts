/** The harness itself, on a system without servers: it has to be able to say no. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { HoldfastError } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import { cache } from "../../parts/cache/index.ts";
import { system, World } from "../../parts/index.ts";
import { type RunRecordedOptions, runRecorded } from "./run-recorded.ts";
import type { Target } from "./target.ts";
import { type RecordedChecker, RefusedError, type Workload } from "./workload.ts";

let historyDir: string;
beforeEach(async () => {
  historyDir = await mkdtemp(join(tmpdir(), "holdfast-recorded-"));
});
afterEach(() => rm(historyDir, { recursive: true, force: true }));

const nowhere: Target = {
  name: "nowhere",
  open: async () => ({ worlds: [new World("nowhere", systemClock)], close: async () => {} }),
};

const says = (verdict: "ok" | "illegal" | "unknown"): RecordedChecker => ({
  name: "judge",
  check: (operations) => ({
    model: "judge",
    verdict,
    reason: "out of budget",
    operations: operations.length,
    witnesses:
      verdict === "illegal"
        ? [{ anomaly: "wrong", summary: "It is wrong.", steps: ["because"], operations: [], edges: [] }]
        : [],
  }),
});

function counter(perform: Workload["perform"], checkers = [says("ok")]): Workload {
  return {
    name: "counter",
    system: system("counting", { parts: { one: cache("one") } }),
    checkers,
    reads: ["read"],
    prepare: async () => {},
    plan: (_client, random) => ({ f: random.next() < 0.5 ? "read" : "add", value: 1 }),
    perform,
  };
}

const run = (workload: Workload, options: Partial<RunRecordedOptions> = {}) =>
  runRecorded({
    workload,
    target: nowhere,
    seed: 3,
    clients: 2,
    operations: 20,
    pauseMs: 0,
    historyDir,
    ...options,
  });

test("a sound run has counts by outcome and keeps no file", async () => {
  const recorded = await run(counter(async () => 1));
  expect(recorded).toMatchObject({ verdict: "ok", problems: [], historyFile: undefined });
  const { read, add } = recorded.counts;
  expect((read?.ok ?? 0) + (add?.ok ?? 0)).toBeGreaterThanOrEqual(40);
  expect(recorded.counts).toMatchObject({ read: { fail: 0, info: 0 }, add: { fail: 0, info: 0 } });
});

test("outcomes become ok, fail and info, and after an info the client goes on as another process", async () => {
  const unknown = new HoldfastError("HOLDFAST_OUTCOME_UNKNOWN", "no answer");
  const refused = new HoldfastError("HOLDFAST_UNAVAILABLE", "away");
  const ends = [unknown, refused, new Error("a bug"), new RefusedError("did not match"), undefined];
  let calls = 0;
  const recorded = await run(
    counter(async () => {
      const end = ends[calls++ % ends.length];
      if (end) throw end;
    }),
    { clients: 1 },
  );
  const { read, add } = recorded.counts;
  expect(read?.info).toBe(0);
  expect(add?.info).toBeGreaterThan(0);
  expect(add?.fail).toBeGreaterThan(0);
  expect(recorded.problems).toEqual([]); // the history makes sense: pairing would have refused a retired process
  const infos = recorded.events.filter(({ type, process }) => type === "info" && process !== "nemesis");
  expect(new Set(infos.map(({ process }) => process)).size).toBe(infos.length);
});

test("an illegal history is kept, and can be read again", async () => {
  const recorded = await run(counter(async () => 1, [says("ok"), says("illegal")]));
  expect(recorded.verdict).toBe("illegal");
  expect(recorded.problems[0]).toBe("judge: wrong. It is wrong.\n  because");
  expect(recorded.problems.at(-1)).toContain(`seed 3: the history is in ${recorded.historyFile}`);
  const text = await readFile(recorded.historyFile ?? "", "utf8");
  expect(text.trimEnd().split("\n")).toHaveLength(recorded.events.length);
});

test("an unknown verdict is no ok", async () => {
  const recorded = await run(counter(async () => 1, [says("unknown")]));
  expect(recorded.verdict).toBe("unknown");
  expect(recorded.problems[0]).toBe("judge: unknown, out of budget");
});

test("a client that does not come back after the faults is a problem, whatever the checkers say", async () => {
  let broken = false;
  const recorded = await run(
    counter(async () => {
      if (broken) throw new HoldfastError("HOLDFAST_UNAVAILABLE", "still away");
    }),
    {
      operations: 1,
      healMs: 200,
      faults: {
        run: async () => {
          broken = true;
          return [];
        },
      },
    },
  );
  expect(recorded.verdict).toBe("ok");
  expect(recorded.problems.slice(0, 2)).toEqual([
    "client 0 did not succeed again within 200 ms",
    "client 1 did not succeed again within 200 ms",
  ]);
});

test("a fault that was not seen to work, or not undone, makes the run worthless", async () => {
  const recorded = await run(
    counter(async () => 1),
    {
      faults: {
        async run(note) {
          note("pause", "a");
          return [
            { fault: "pause a", undone: true },
            { fault: "kill b", effect: "gone", undone: false },
          ];
        },
      },
    },
  );
  expect(recorded.problems.slice(0, 2)).toEqual([
    "fault pause a was never seen to work",
    "fault kill b was not undone",
  ]);
  expect(recorded.events.filter(({ process }) => process === "nemesis").map(({ f }) => f)).toEqual([
    "pause",
    "healed",
  ]);
});

test("the same seed plans the same", async () => {
  const plans = async () => {
    const { events } = await run(
      counter(async () => 1),
      { clients: 1 },
    );
    return events
      .filter(({ type }) => type === "invoke")
      .map(({ f }) => f)
      .slice(0, 20);
  };
  expect(await plans()).toEqual(await plans());
});

test("a workload that throws something else than an outcome in its own plan ends the run", async () => {
  const workload = {
    ...counter(async () => 1),
    plan: () => {
      throw new Error("a mistake in the plan");
    },
  };
  await expect(run(workload)).rejects.toThrow("a mistake in the plan");
});

test("a background that fails ends the run with its error", async () => {
  const workload = { ...counter(async () => 1), background: () => Promise.reject(new Error("no consumer")) };
  await expect(run(workload)).rejects.toThrow("no consumer");
});

test("options that make no sense are refused, all at once", async () => {
  await expect(
    run(
      counter(async () => 1),
      { seed: 0.5, clients: 0, operationMs: Number.NaN },
    ),
  ).rejects.toThrow(
    "runRecorded: seed should be a whole number, got 0.5; clients should be a whole number of 1 or more, got 0; operationMs should be 1 or more milliseconds, got NaN",
  );
});
