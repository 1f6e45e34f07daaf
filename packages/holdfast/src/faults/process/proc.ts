/** What the kernel says about processes, read from /proc. */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";

export interface ProcessStat {
  readonly state: string;
  readonly parent: number;
  /** User and system time, in clock ticks. */
  readonly cpuTicks: number;
  /** When it started, in ticks since the machine did: with the id it names this very process. */
  readonly startTicks: string;
}

/** Undefined on systems with it; otherwise why faults on processes cannot be confirmed here. */
export function noProc(): string | undefined {
  return existsSync("/proc/self/stat")
    ? undefined
    : `${process.platform} has no /proc to see the effect in: use Linux`;
}

/** Undefined when there is no such process or thread, or it is dead and only not yet reaped. */
export async function readStat(pid: number, thread?: number): Promise<ProcessStat | undefined> {
  const file = thread === undefined ? `/proc/${pid}/stat` : `/proc/${pid}/task/${thread}/stat`;
  const line = await readFile(file, "utf8").catch(() => undefined);
  if (line === undefined) return undefined;
  // The name in parentheses may hold anything; fields are counted after it.
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const state = fields[0] as string;
  if (state === "Z" || state === "X") return undefined;
  return {
    state,
    parent: Number(fields[1]),
    cpuTicks: Number(fields[11]) + Number(fields[12]),
    startTicks: fields[19] as string,
  };
}

/** The process and everything that descends from it; empty when it does not run. */
export async function processTree(pid: number): Promise<number[]> {
  if (!(await readStat(pid))) return [];
  const ids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const parents = await Promise.all(ids.map(async (id) => [id, (await readStat(id))?.parent] as const));
  const children = new Map<number, number[]>();
  for (const [id, parent] of parents) {
    if (parent === undefined) continue;
    const siblings = children.get(parent);
    if (siblings) siblings.push(id);
    else children.set(parent, [id]);
  }
  const tree = [pid];
  for (const id of tree) tree.push(...(children.get(id) ?? []));
  return tree;
}

/** Whether every thread of the process stands still. False when there is no such process. */
export async function isWholeStopped(pid: number): Promise<boolean> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const stats = await Promise.all(threads.map((thread) => readStat(pid, Number(thread))));
  const living = stats.filter((stat) => stat !== undefined);
  return living.length > 0 && living.every(({ state }) => state === "T" || state === "t");
}

/** Sends a signal; a process that has gone meanwhile hears nothing. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
