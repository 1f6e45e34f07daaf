/**
 * Runs a workload on real servers, with or without faults, records what its clients saw, and has it judged.
 *
 *   const faults = faultRun({ plan, target: faultTarget, clock: systemClock });
 *   const run = await runRecorded({ workload, target: postgresTarget({ postgres }), seed: 7, faults });
 *   expect(run.problems).toEqual([]);
 *
 * First a phase in which safety is at stake: clients act while faults come and go. Then the faults are undone,
 * and liveness is at stake: each client has to succeed again within a bound. A run is sound when every checker
 * says ok, every fault was seen to work and to be gone, and every client came back. `unknown` is no ok.
 */
import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CheckResult, HistoryEvent } from "../../check/index.ts";
import { formatHistory, pairEvents } from "../../check/index.ts";
import { seededRandom, systemClock } from "../../clock/index.ts";
import type { FaultRun } from "../../faults/index.ts";
import { inWorld } from "../../parts/index.ts";
import { mergeHistories, Recorder } from "../../record/index.ts";
import { until } from "../wait.ts";
import { Client, type ClientsOptions } from "./run-clients.ts";
import type { OpenTarget, Target } from "./target.ts";
import type { Beside, Workload } from "./workload.ts";

export interface RunRecordedOptions {
  readonly workload: Workload;
  readonly target: Target;
  /** Of the plans of all clients, and of faults that are drawn. A run with the same seed plans the same. */
  readonly seed: number;
  /** What goes wrong meanwhile: `faultRun` of `holdfast/faults`. */
  readonly faults?: FaultRun;
  /** Default 5. */
  readonly clients?: number;
  /** Processes of the system that the clients are spread over. Default 1. */
  readonly processes?: number;
  /** Operations of each client at least, before the end; with faults, as long as these take. Default 100. */
  readonly operations?: number;
  /** Deadline of each operation, in milliseconds. Default 3_000. */
  readonly operationMs?: number;
  /** Longest pause between two operations of a client, in milliseconds. Default 5. */
  readonly pauseMs?: number;
  /** How long after the last fault each client has to have succeeded, in milliseconds. Default 20_000. */
  readonly healMs?: number;
  /** Where the history of a run that is not sound is kept. Default: `holdfast-histories` among temporary files. */
  readonly historyDir?: string;
}

/** A fault that counts: its effect was seen, and so was its end. */
export type FaultSeen = Awaited<ReturnType<FaultRun["run"]>>[number];

export interface RecordedRun {
  readonly seed: number;
  /** The worst of all checkers. */
  readonly verdict: CheckResult["verdict"];
  readonly results: readonly CheckResult[];
  readonly faults: readonly FaultSeen[];
  /** By operation and how it ended: `{ read: { ok: 812, fail: 3, info: 0 } }`. */
  readonly counts: Readonly<Record<string, Readonly<Record<"ok" | "fail" | "info", number>>>>;
  /** Why the run is not sound, in words; empty when it is. */
  readonly problems: readonly string[];
  readonly events: readonly HistoryEvent[];
  /** JSON lines, for `holdfast check`; kept only when the run is not sound. */
  readonly historyFile: string | undefined;
}

const defaults = {
  clients: 5,
  processes: 1,
  operations: 100,
  operationMs: 3_000,
  pauseMs: 5,
  healMs: 20_000,
};

/** @throws {RangeError} for options that make no sense, all of them at once */
export async function runRecorded(options: RunRecordedOptions): Promise<RecordedRun> {
  refuseOptions(options);
  const { workload, target, processes = defaults.processes } = options;
  const opened = await target.open(workload.system, processes);
  try {
    const recorder = new Recorder({ file: await newFile(options) });
    const others: string[] = [];
    await inWorld(opened.worlds[0], () => workload.prepare());
    const { faults, stuck } = await act(options, opened, recorder, others).finally(() => recorder.close());
    return await judge(options, [recorder.file, ...others], faults, stuck);
  } finally {
    await opened.close();
  }
}

/** @returns the faults that were seen, and what did not come back */
async function act(options: RunRecordedOptions, opened: OpenTarget, recorder: Recorder, others: string[]) {
  const { workload, seed, clients: count = defaults.clients } = options;
  const { operations, operationMs, healMs } = { ...defaults, ...options };
  const env: Omit<ClientsOptions, "inside"> = {
    workload,
    recorder,
    clock: systemClock,
    clients: count,
    operationMs,
    pauseMs: options.pauseMs ?? defaults.pauseMs,
    // Streams of their own: how far one client gets changes nothing in the plans of another.
    randomOf: (number) => seededRandom(seed * 1_000 + number),
  };
  const insideOf = (number: number) => opened.worlds[number % opened.worlds.length] ?? opened.worlds[0];
  const clients = Array.from(
    { length: count },
    (_, number) => new Client({ ...env, inside: (run) => inWorld(insideOf(number), run) }, number),
  );

  const stopBackground = new AbortController();
  let over = false;
  let failed: unknown;
  const fail = (error: unknown) => {
    failed ??= error;
  };
  const note = (f: string, value: unknown) => recorder.record({ type: "info", process: "nemesis", f, value });
  const beside: Beside = {
    recorder,
    random: seededRandom(seed * 1_000 + count),
    config: opened.config,
    recording() {
      others.push(`${recorder.file}.${others.length + 1}`);
      return others.at(-1) as string;
    },
    note,
  };
  const background = inWorld(opened.worlds[0], async () =>
    workload.background?.(stopBackground.signal, beside),
  );
  const inBackground = background.catch(fail);
  const acting = Promise.all(clients.map((client) => client.act(() => over))).catch(fail);
  const stuck: string[] = [];
  let faults: readonly FaultSeen[] = [];
  try {
    faults = (await options.faults?.run(note, seed)) ?? [];
    note("healed", null);
    const before = clients.map((client) => client.succeeded);
    const cameBack = (client: Client) => client.succeeded > (before[client.number] ?? 0);
    await until(() => failed !== undefined || clients.every(cameBack), { timeoutMs: healMs }).catch(() => {
      for (const client of clients) {
        if (!cameBack(client))
          stuck.push(`client ${client.number} did not succeed again within ${healMs} ms`);
      }
    });
    const enough = () => failed !== undefined || clients.every((client) => client.begun >= operations);
    await until(enough, {
      timeoutMs: operations * operationMs,
      what: `${operations} operations of each client`,
    });
    over = true;
    await acting;
    if (failed === undefined) await conclude();
  } finally {
    over = true;
    stopBackground.abort();
    await Promise.all([acting, inBackground]);
  }
  if (failed !== undefined) throw failed;
  return { faults, stuck };

  /** What is asked at the end may have to wait until everything has arrived. */
  async function conclude(): Promise<void> {
    const inside: ClientsOptions["inside"] = (run) => inWorld(opened.worlds[0], run);
    const last = new Client({ ...env, operationMs: Math.max(operationMs, healMs), inside }, count);
    for (const operation of workload.conclude?.() ?? []) {
      if (!(await last.perform(operation))) stuck.push(`the last ${operation.f} did not succeed`);
    }
  }
}

async function judge(
  options: RunRecordedOptions,
  files: readonly string[],
  faults: readonly FaultSeen[],
  stuck: readonly string[],
): Promise<RecordedRun> {
  const { workload, seed } = options;
  const [file = ""] = files;
  const events: HistoryEvent[] = [];
  // A process that was killed before it began to record has no file.
  for await (const event of mergeHistories(files.filter((one) => existsSync(one)))) events.push(event);
  const { operations } = pairEvents(events, file);
  const results = workload.checkers.map((checker) => checker.check(operations));
  const verdicts = results.map((result) => result.verdict);
  const problems = [
    ...results.flatMap((result) => problemsOf(result)),
    ...faults.flatMap(({ fault, effect, undone }) => [
      ...(effect === undefined ? [`fault ${fault} was never seen to work`] : []),
      ...(undone ? [] : [`fault ${fault} was not undone`]),
    ]),
    ...stuck,
  ];
  const historyFile = problems.length === 0 ? undefined : file;
  for (const one of files) await rm(one, { force: true });
  if (historyFile !== undefined) await writeFile(historyFile, formatHistory(events));
  return {
    seed,
    verdict: verdicts.includes("illegal") ? "illegal" : verdicts.includes("unknown") ? "unknown" : "ok",
    results,
    faults,
    counts: countsOf(events),
    problems:
      historyFile === undefined
        ? []
        : [...problems, `${workload.name}, seed ${seed}: the history is in ${historyFile}`],
    events,
    historyFile,
  };
}

function problemsOf({ verdict, model, reason, witnesses }: CheckResult): string[] {
  if (verdict === "ok") return [];
  if (verdict === "unknown") return [`${model}: unknown, ${reason}`];
  return witnesses.map(({ anomaly, summary, steps }) =>
    [`${model}: ${anomaly}. ${summary}`, ...steps].join("\n  "),
  );
}

function countsOf(events: readonly HistoryEvent[]): RecordedRun["counts"] {
  const counts: Record<string, Record<"ok" | "fail" | "info", number>> = {};
  for (const { process, type, f } of events) {
    if (typeof process !== "number" || type === "invoke") continue;
    counts[f] ??= { ok: 0, fail: 0, info: 0 };
    counts[f][type]++;
  }
  return counts;
}

let runs = 0;

/** No two runs have the same, also after one that was killed. */
async function newFile(options: RunRecordedOptions): Promise<string> {
  const { workload, seed, historyDir = join(tmpdir(), "holdfast-histories") } = options;
  await mkdir(historyDir, { recursive: true });
  const name = [workload.name.replace(/\W+/g, "-"), `seed-${seed}`, process.pid, ++runs, Date.now()];
  return join(historyDir, `${name.join("-")}.jsonl`);
}

function refuseOptions(options: RunRecordedOptions): void {
  const { seed, ...given } = { ...defaults, ...options };
  const problems: string[] = [];
  if (!Number.isSafeInteger(seed)) problems.push(`seed should be a whole number, got ${seed}`);
  for (const name of ["clients", "processes", "operations"] as const) {
    const value = given[name];
    if (!(Number.isSafeInteger(value) && value >= 1))
      problems.push(`${name} should be a whole number of 1 or more, got ${value}`);
  }
  for (const [name, least] of [
    ["operationMs", 1],
    ["pauseMs", 0],
    ["healMs", 1],
  ] as const) {
    if (!(given[name] >= least && Number.isFinite(given[name])))
      problems.push(`${name} should be ${least} or more milliseconds, got ${given[name]}`);
  }
  if (problems.length > 0) throw new RangeError(`runRecorded: ${problems.join("; ")}`);
}
