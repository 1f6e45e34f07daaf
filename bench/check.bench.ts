/**
 * Judging histories: registers and key-value stores, object by object and as a whole, from a thousand operations to
 * a million; recorded ones beside what was published of Porcupine; and what recording costs.
 *
 * HOLDFAST_HISTORIES names the folder of recorded histories; without it those figures are left out.
 */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CheckResult,
  checkLinearizable,
  findChecker,
  kvModel,
  type Operation,
  readOperations,
  registerModel,
  wholeModel,
} from "holdfast/check";
import { systemClock } from "holdfast/clock";
import { Recorder } from "holdfast/record";
import { type Bench, type Figure, median } from "./bench.ts";
import { correctHistory, type HistoryShape, wrongHistory } from "./check/histories.ts";
import { porcupinePublishedMicroseconds } from "./check/published.ts";

const clients = 10;
const registers = { clients, read: "read", write: "write" } as const;
const store = { clients, read: "get", write: "put" } as const;

const bench: Bench = {
  name: "check",
  title: "judging histories of 10^3 to 10^6 operations, and what recording them costs",
  async run(size, seed) {
    const figures: Figure[] = [];
    for (const operations of size === "full" ? [1_000, 10_000, 100_000, 1_000_000] : [1_000]) {
      const count = operations.toLocaleString("en-US");
      const time = (name: string, shape: Omit<HistoryShape, "operations" | "seed">, check: Check) =>
        figures.push(...judged(`${name}, ${count}`, { ...shape, operations, seed }, check));
      time("register, 1 key", { ...registers, keys: 1 }, (ops) => checkLinearizable(registerModel(), ops));
      time("registers, 100 keys", { ...registers, keys: 100 }, (ops) =>
        checkLinearizable(registerModel(), ops),
      );
      time("kv, 1,000 keys", { ...store, keys: 1_000 }, (ops) => checkLinearizable(kvModel, ops));
      // As one object of ten keys it is hard: this is what judging object by object is for.
      if (operations <= 10_000)
        time("kv, 10 keys, as a whole", { ...store, keys: 10 }, (ops) =>
          checkLinearizable(wholeModel(kvModel, ops), ops),
        );
    }
    figures.push(...(await recorded(size === "full" ? 101 : 5)));
    figures.push(...(await recording(size === "full" ? 100_000 : 1_000)));
    return {
      figures,
      checked:
        "each history of a correct store was ok, each with one impossible read illegal; recorded ones as is known of them",
    };
  },
};
export default bench;

type Check = (operations: readonly Operation[]) => CheckResult;

function judged(name: string, shape: HistoryShape, check: Check): Figure[] {
  expectVerdict(name, check(wrongHistory(shape)), "illegal");
  const operations = correctHistory(shape);
  const rounds = shape.operations < 1_000_000 ? 3 : 1;
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const startMs = systemClock.monotonicMs();
    const result = check(operations);
    times.push(systemClock.monotonicMs() - startMs);
    expectVerdict(name, result, "ok");
  }
  const memoryMiB = process.memoryUsage().rss / 2 ** 20;
  return [
    { name, unit: "ms", value: median(times), better: "lower" },
    { name: `${name}, memory`, unit: "MiB of the whole process", value: memoryMiB, better: "lower" },
  ];
}

async function recorded(rounds: number): Promise<Figure[]> {
  const folder = process.env.HOLDFAST_HISTORIES ?? "";
  if (!existsSync(folder)) return [];
  const figures: Figure[] = [];
  for (const [file, published] of Object.entries(porcupinePublishedMicroseconds)) {
    const checker = findChecker(file.startsWith("kv/") ? "kv" : "cas-register");
    const { operations } = await readOperations(join(folder, file));
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const startMs = systemClock.monotonicMs();
      checker?.check(operations);
      times.push((systemClock.monotonicMs() - startMs) * 1_000);
    }
    figures.push({ name: file, unit: "µs, with the witness", value: median(times), better: "lower" });
    figures.push({
      name: `${file}, Porcupine as published`,
      unit: "µs, on another machine",
      value: published,
      better: "lower",
      peer: file,
    });
  }
  return figures;
}

/** What an operation costs more when it is recorded. */
async function recording(operations: number): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-bench-"));
  const figures: Figure[] = [];
  for (const invocations of ["each", "batch"] as const) {
    const file = join(folder, `${invocations}.jsonl`);
    const recorder = new Recorder({ file, invocations });
    const client = recorder.client();
    const startMs = systemClock.monotonicMs();
    for (let i = 0; i < operations; i++) {
      client.invoke("write", i, "x");
      client.ok();
    }
    recorder.close();
    const microseconds = ((systemClock.monotonicMs() - startMs) * 1_000) / operations;
    const read = await readOperations(file);
    if (read.operations.length !== operations)
      throw new Error(`${read.operations.length} of ${operations} recorded`);
    const when = invocations === "each" ? "on disk before it begins" : "in batches";
    figures.push({ name: `recording, ${when}`, unit: "µs/operation", value: microseconds, better: "lower" });
  }
  await rm(folder, { recursive: true });
  return figures;
}

function expectVerdict(name: string, result: CheckResult, verdict: CheckResult["verdict"]): void {
  if (result.verdict !== verdict)
    throw new Error(`${name}: ${result.verdict} (${result.reason ?? ""}), expected ${verdict}`);
}
