/** Whole runs, against a real Postgres with a replica. */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { startTestPostgres, type TestPostgres } from "../../testkit/postgres.ts";
import { type PostgresFaultTarget, postgresFaultTarget } from "../../testkit/postgres-fault-target.ts";
import type { Fault, Whom } from "../plan/fault.ts";
import type { FaultPlan } from "../plan/plan.ts";
import { schedule } from "../plan/schedule.ts";
import { faultRun } from "./fault-run.ts";
import type { NemesisEvent } from "./report.ts";
import { runFaults } from "./run-faults.ts";

let postgres: TestPostgres;
let db: PostgresFaultTarget;
beforeAll(async () => {
  postgres = await startTestPostgres({ replicas: 1 });
  db = await postgresFaultTarget(postgres);
});
afterAll(async () => {
  await db?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

/** Runs a statement on the primary, through its fault proxy. */
async function query(text: string): Promise<readonly unknown[]> {
  const endpoint = db.through(postgres.config).nodes[0]?.primary;
  const client = new pg.Client({ ...endpoint, connectionTimeoutMillis: 5_000 });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

const primary: Whom = { role: "primary" };
const replica: Whom = { instance: "node-1/replica-1" };
const link: Whom = { link: { from: { instance: "clients" }, to: { role: "primary" } } };

function oneByOne(faults: readonly (readonly [Fault, Whom])[], eachMs = 8_000): FaultPlan {
  return {
    lastsMs: faults.length * eachMs,
    healMs: 30_000,
    // Ends as soon as it was seen: a probe that takes longer than this does not shorten the next one.
    steps: faults.map(([fault, on], index) => ({ fault, on, atMs: index * eachMs, forMs: 100 })),
  };
}

/** Faults of a run need no rest in between: the clock jumps over it. */
const hurried = {
  ...systemClock,
  skippedMs: 0,
  monotonicMs(): number {
    return systemClock.monotonicMs() + this.skippedMs;
  },
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms < 200) return systemClock.sleep(ms, signal);
    this.skippedMs += ms - 100;
    return systemClock.sleep(100, signal);
  },
};

test("each fault is seen to work and seen to be gone, on a real database, which then is alive", async () => {
  const faults = [
    [{ kind: "kill" }, primary],
    [{ kind: "pause" }, primary],
    [{ kind: "restart" }, replica],
    [{ kind: "partition" }, link],
    [{ kind: "partition", direction: "back" }, link],
    [{ kind: "latency", delayMs: 30, jitterMs: 10 }, link],
    [{ kind: "bandwidth", bytesPerSecond: 100_000 }, link],
    [{ kind: "reset" }, link],
    [{ kind: "blackhole" }, link],
    [{ kind: "cpu-starvation", share: 0.2 }, replica],
    [{ kind: "replica-lag" }, replica],
    [{ kind: "connection-storm", connections: 50 }, primary],
  ] as const;
  const events: NemesisEvent[] = [];
  const report = await runFaults({
    timeline: schedule(1, oneByOne(faults)),
    target: db.target,
    clock: hurried,
    probeMs: 15_000,
    alive: () => query("select 1"),
    note: (event) => events.push(event),
  });
  expect(report.problems).toEqual([]);
  expect(report.faults.map(({ fault }) => fault.kind)).toEqual(faults.map(([{ kind }]) => kind));
  for (const { effect, undone, by, to } of report.faults) {
    expect(effect).toBeTypeOf("string");
    expect(undone).toBe(true);
    expect(by).toHaveLength(1);
    expect(to).toHaveLength(1);
  }
  expect(report.faults[3]).toMatchObject({
    on: "clients -> role primary",
    to: ["clients -> node-1/primary"],
    by: ["fault proxy (no network namespaces on this link)"],
  });
  expect(report.aliveAfterMs).toBeGreaterThanOrEqual(0);
  expect(events.filter(({ f }) => f === "kill").map(({ value }) => value.step)).toEqual([
    "begin",
    "seen",
    "end",
    "gone",
  ]);
  expect(events.at(-1)).toMatchObject({ process: "nemesis", type: "info", f: "alive" });
}, 120_000);

test("what cannot be done here is refused before anything begins, with every reason", async () => {
  const run = runFaults({
    timeline: schedule(
      1,
      oneByOne([
        [{ kind: "clock-offset", offsetMs: 1_000 }, primary],
        [{ kind: "disk-full" }, primary],
        [{ kind: "replica-lag" }, primary],
        [{ kind: "kill" }, { role: "leader" }],
        [{ kind: "partition" }, { link: { from: { node: "node-1" }, to: { instance: "clients" } } }],
      ]),
    ),
    target: db.target,
    clock: systemClock,
  });
  await expect(run).rejects.toMatchObject({ code: "HOLDFAST_FAULT_REFUSED" });
  const message = await run.catch((error: Error) => error.message);
  for (const part of [
    "clock-offset (offsetMs 1000) on node-1/primary: node-1/primary was not started under a fake clock",
    "disk-full on node-1/primary: the target says nothing about a disk",
    "replica-lag on node-1/primary: node-1/primary is no replica",
    "kill on role leader: nobody is role leader",
    "the target has no way to get at the link node-1/primary -> clients",
  ]) {
    expect(message).toContain(part);
  }
});

test("an abort ends the run, and undoes what is there", async () => {
  const stop = new AbortController();
  const report = await runFaults({
    timeline: schedule(1, {
      lastsMs: 60_000,
      forMsMax: 60_000,
      steps: [{ fault: { kind: "pause" }, on: primary, atMs: 0, forMs: 50_000 }],
    }),
    target: db.target,
    clock: systemClock,
    probeMs: 15_000,
    signal: stop.signal,
    note: ({ value }) => {
      if (value.step === "seen") stop.abort();
    },
  });
  expect(report).toMatchObject({ interrupted: true, problems: [], faults: [{ undone: true }] });
  expect(report.faults[0]?.effect).toMatch(/stands still/);
  expect(await query("select 1 as one")).toEqual([{ one: 1 }]);
});

test("a fault without effect does not count, and a system that does not come back is told", async () => {
  await using nobody = await postgresFaultTarget(postgres);
  await nobody.close();
  const report = await runFaults({
    timeline: schedule(1, {
      lastsMs: 2_000,
      healMs: 200,
      steps: [{ fault: { kind: "partition" }, on: link, atMs: 0, forMs: 100 }],
    }),
    target: nobody.target,
    clock: systemClock,
    probeMs: 300,
    alive: () => Promise.reject(new Error("dead")),
  });
  expect(report.faults[0]?.effect).toBeUndefined();
  expect(report.problems).toEqual([
    expect.stringMatching(
      /^fault 1, partition on clients -> role primary: .* had no effect: nothing got through/,
    ),
    "the system was not alive again 200 ms after all faults were undone",
  ]);
});

test("a plan is the faults of a recorded run: the same seed, the same faults", async () => {
  const faults = faultRun({
    plan: {
      lastsMs: 3_000,
      drawn: {
        faults: [{ fault: { kind: "kill" }, on: [replica] }],
        forMs: { min: 100, max: 200 },
        restMs: { min: 0, max: 900 },
      },
    },
    target: db.target,
    clock: systemClock,
    probeMs: 15_000,
  });
  const notes: string[] = [];
  const seen = await faults.run((f) => notes.push(f), 5);
  expect(seen.length).toBeGreaterThan(0);
  for (const { fault, effect, undone } of seen) {
    expect([fault, undone]).toEqual(["kill on node-1/replica-1", true]);
    expect(effect).toMatch(/gone$/);
  }
  expect(notes).toContain("kill");
}, 90_000);
