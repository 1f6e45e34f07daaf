import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { HoldfastError, Seam } from "../call/index.ts";
import {
  checkLinearizable,
  type HistoryEvent,
  pairEvents,
  readOperations,
  registerModel,
} from "../check/index.ts";
import { hostMonotonicNs, manualClock } from "../clock/index.ts";
import { mergeHistories } from "./merge.ts";
import { recordSeam } from "./record-seam.ts";
import { Recorder, type RecorderOptions } from "./recorder.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-record-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const newFile = () => join(folder, `${files++}.jsonl`);

/** A recorder whose time is 1, 2, 3 … nanoseconds. */
function recorderAt(options: Partial<RecorderOptions> = {}) {
  let nowNs = 0n;
  return new Recorder({ file: newFile(), nowNs: () => ++nowNs, clock: manualClock(), ...options });
}

function linesOf(file: string): unknown[] {
  const text = readFileSync(file, "utf8");
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => Object.values(JSON.parse(line) as object).slice(0, 6));
}

test("operations are written down with their ends, and can be judged", async () => {
  const recorder = recorderAt();
  const [a, b] = [recorder.client(), recorder.client()];
  a.invoke("write", 1, "x");
  b.invoke("read", null, "x");
  a.ok();
  b.ok(1);
  recorder.close();
  expect(linesOf(recorder.file)).toEqual([
    [0, "invoke", 0, "write", "x", 1],
    [1, "invoke", 1, "read", "x", null],
    [2, "ok", 0, "write", "x", 1],
    [3, "ok", 1, "read", "x", 1],
  ]);
  const { operations } = await readOperations(recorder.file);
  expect(checkLinearizable(registerModel(), operations).verdict).toBe("ok");
});

test("after an unknown outcome a client goes on under a new number", () => {
  const recorder = recorderAt();
  const client = recorder.client();
  client.invoke("write", 1);
  client.info("timed out");
  client.invoke("read");
  client.fail("refused");
  client.invoke("read");
  client.ok(1);
  recorder.close();
  expect(linesOf(recorder.file).map((line) => (line as unknown[]).slice(1, 3))).toEqual([
    ...[
      ["invoke", 0],
      ["info", 0],
    ],
    ...[
      ["invoke", 1],
      ["fail", 1],
      ["invoke", 1],
      ["ok", 1],
    ],
  ]);
});

test("what is thrown is recorded by its outcome, and thrown on", async () => {
  const recorder = recorderAt();
  const client = recorder.client();
  const refused = new HoldfastError("HOLDFAST_OVERLOADED", "full");
  await expect(client.run({ f: "write", value: 1 }, () => Promise.reject(refused))).rejects.toBe(refused);
  await expect(
    client.run({ f: "write", value: 2 }, () => Promise.reject(new Error("reset"))),
  ).rejects.toThrow("reset");
  expect(
    await client.run(
      { f: "read" },
      async () => ({ row: 7 }),
      ({ row }) => row,
    ),
  ).toEqual({ row: 7 });
  recorder.close();
  const ends = linesOf(recorder.file).filter((_, i) => i % 2 === 1);
  expect(ends.map((line) => (line as unknown[])[1])).toEqual(["fail", "info", "ok"]);
  expect((ends[2] as unknown[])[4]).toBe(7);
  expect(readFileSync(recorder.file, "utf8")).toContain("HOLDFAST_OVERLOADED: full");
});

test("a client does one thing at a time, and ends only what it began", () => {
  const recorder = recorderAt();
  const client = recorder.client();
  expect(() => client.ok()).toThrow("has not invoked");
  client.invoke("read");
  expect(() => client.invoke("read")).toThrow("one operation at a time");
  recorder.close();
  recorder.close();
  expect(() => recorder.client().invoke("read")).toThrow("is closed");
  expect(() => new Recorder({ file: recorder.file })).toThrow("a file of its own");
});

test("invocations are in the file before the operation begins, ends a moment later", async () => {
  const clock = manualClock();
  const recorder = recorderAt({ clock, flushMs: 50 });
  const client = recorder.client();
  client.invoke("write", 1);
  expect(linesOf(recorder.file)).toHaveLength(1);
  client.ok();
  expect(linesOf(recorder.file)).toHaveLength(1);
  await clock.advance(50);
  expect(linesOf(recorder.file)).toHaveLength(2);
  recorder.close();
  expect(clock.pendingTimers).toBe(0);
});

test("in batches, memory is bounded all the same", () => {
  const recorder = recorderAt({ invocations: "batch" });
  const client = recorder.client();
  const text = "x".repeat(1_000);
  for (let i = 0; i < 200; i++) {
    client.invoke("write", text);
    client.ok();
  }
  const written = readFileSync(recorder.file, "utf8").length;
  recorder.close();
  expect(readFileSync(recorder.file, "utf8").length - written).toBeLessThan(70_000);
  expect(linesOf(recorder.file)).toHaveLength(400);
});

test("a killed process leaves all its invocations; one that throws leaves everything", () => {
  const run = (program: string, file: string) =>
    spawnSync(process.execPath, [fileURLToPath(new URL(`./fixtures/${program}`, import.meta.url)), file]);
  const killed = newFile();
  expect(run("killed-client.ts", killed).signal).toBe("SIGKILL");
  expect(linesOf(killed).map((line) => (line as unknown[])[1])).toEqual(["invoke", "ok", "invoke"]);
  const thrown = newFile();
  expect(run("throwing-client.ts", thrown).status).toBe(1);
  expect(linesOf(thrown).map((line) => (line as unknown[])[1])).toEqual(["invoke", "ok"]);
});

test("the recordings of several processes become one history, by time and with numbers of their own", async () => {
  const write = (lines: readonly (readonly [number, string, number | string])[]) => {
    const file = newFile();
    const text = lines.map(([timeNs, type, process]) =>
      JSON.stringify({ timeNs, type, process, f: "read", value: null }),
    );
    writeFileSync(file, text.join("\n"));
    return file;
  };
  const one = write([
    [10, "invoke", 0],
    [40, "ok", 0],
    [50, "invoke", 0],
  ]);
  const other = write([
    [20, "invoke", 0],
    [25, "info", "nemesis"],
    [30, "ok", 0],
    [60, "invoke", 1],
  ]);
  const empty = newFile();
  writeFileSync(empty, "");
  const events: HistoryEvent[] = [];
  for await (const event of mergeHistories([one, other, empty])) events.push(event);
  expect(events.map(({ index, timeNs, process }) => [index, timeNs, process])).toEqual([
    ...[
      [0, 10, 0],
      [1, 20, 1],
      [2, 25, "nemesis"],
      [3, 30, 1],
      [4, 40, 0],
      [5, 50, 0],
      [6, 60, 2],
    ],
  ]);
  expect(pairEvents(events).operations).toHaveLength(4);
});

test("what parts report at the seam is recorded, each under a process that is free", async () => {
  const recorder = recorderAt();
  const seam = new Seam(manualClock());
  const stop = recordSeam(seam, recorder, {
    describe: ({ operation, part, attributes }) =>
      operation === "load" ? undefined : { f: operation, key: part, value: attributes.value },
  });
  let answer: (value: number) => void = () => {};
  const slow = seam.operation(
    "register",
    "r",
    "read",
    undefined,
    () => new Promise<number>((resolve) => (answer = resolve)),
  );
  await seam.operation("register", "r", "write", undefined, async () => 5, { value: 5 });
  await seam.operation("cache", "c", "load", undefined, async () => 0);
  answer(5);
  await slow;
  const lost = seam.operation("register", "r", "write", undefined, () => Promise.reject(new Error("reset")), {
    value: 6,
  });
  await expect(lost).rejects.toThrow("reset");
  await seam.operation("register", "r", "read", undefined, async () => 5);
  stop();
  await seam.operation("register", "r", "read", undefined, async () => 5);
  recorder.close();
  const { operations } = await readOperations(recorder.file);
  expect(
    operations.map(({ process, f, key, input, output, outcome }) => [
      process,
      f,
      key,
      input,
      output,
      outcome,
    ]),
  ).toEqual([
    [0, "read", "r", null, 5, "ok"],
    [1, "write", "r", 5, 5, "ok"],
    [0, "write", "r", 6, undefined, "info"],
    [1, "read", "r", null, 5, "ok"],
  ]);
});

test("a fault that bends a world's clock does not bend the record", () => {
  const clock = manualClock();
  const recorder = new Recorder({ file: newFile(), clock });
  const fromNs = hostMonotonicNs();
  clock.jumpWall(-1e9);
  recorder.client().invoke("read");
  const untilNs = hostMonotonicNs();
  recorder.close();
  const { timeNs } = JSON.parse(readFileSync(recorder.file, "utf8")) as { timeNs: number };
  expect(timeNs).toBeGreaterThanOrEqual(Number(fromNs));
  expect(timeNs).toBeLessThanOrEqual(Number(untilNs));
});
