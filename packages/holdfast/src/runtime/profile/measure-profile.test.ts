import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { profileProblems } from "../../load/profile/index.ts";
import { findProject } from "../project.ts";
import { measureProfile } from "./measure-profile.ts";
import { play, ratesOf } from "./rounds.ts";
import { startProfileServer } from "./server.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "holdfast-measure-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("a whole profile of real servers: every figure, nothing left behind", { timeout: 120_000 }, async () => {
  const steps: string[] = [];
  const profile = await measureProfile({
    project: findProject(dir),
    clock: systemClock,
    progress: (text) => void steps.push(text),
    signal: new AbortController().signal,
    rounds: 2,
    roundMs: 30,
  });
  expect(profileProblems(profile)).toEqual([]);
  expect(profile.figures.map(({ id }) => id)).toEqual([
    "node.cores",
    "node.memory",
    "service.requests",
    "service.ms",
    "gateway.requests",
    "gateway.ms",
    "cache.hits",
    "cache.ms",
    "disk.bytes",
    "database.reads",
    "database.read-ms",
    "database.writes",
    "database.write-ms",
    "topic.writes",
    "topic.ms",
    "topic.reads",
  ]);
  expect(steps).toContain("Measuring reads of a database");
  expect(readdirSync(join(dir, ".holdfast"))).toEqual(["compile-cache"]);
});

test.each([
  ["while its server is made", "making its data"],
  ["while it is measured", "writes of a database"],
])(
  "given up %s, it stops what it started and says nothing of figures",
  { timeout: 120_000 },
  async (_, step) => {
    const giveUp = new AbortController();
    const measuring = measureProfile({
      project: findProject(dir),
      clock: systemClock,
      progress: (text) => text.includes(step) && giveUp.abort(),
      signal: giveUp.signal,
      rounds: 1,
      roundMs: 20,
    });
    await expect(measuring).rejects.toThrow();
    expect(readdirSync(join(dir, ".holdfast"))).toEqual(["compile-cache"]);
  },
);

const rounds = { clock: systemClock, rounds: 3, roundMs: 1, signal: new AbortController().signal };

test("rounds count what was done, each lane at least once", async () => {
  let done = 0;
  const rates = await ratesOf(rounds, 4, async () => void done++);
  expect(rates).toHaveLength(3);
  expect(done).toBeGreaterThanOrEqual(4 * 4);
  for (const rate of rates) expect(rate).toBeGreaterThan(0);
});

test("an operation that fails ends the measuring", async () => {
  await expect(play(rounds, 1, 2, () => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
});

test("a server to be measured that cannot start says so", async () => {
  await expect(startProfileServer("gateway", 1e9)).rejects.toThrow(
    expect.objectContaining({ code: "HOLDFAST_START_FAILED" }),
  );
});
