/** Memory of a process and everything it has started, by /proc (Linux) or `ps`. */
import { readdir, readFile } from "node:fs/promises";
import { run } from "../redirects/commands.ts";

interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly residentKib: number;
}

export interface TreeMemory {
  readonly processes: number;
  readonly mebibytes: number;
  /** Proportional (shared pages counted once over all) where the system tells, resident otherwise. */
  readonly kind: "PSS" | "RSS";
}

/** @param roots processes whose descendants count, themselves included */
export async function treeMemory(roots: readonly number[]): Promise<TreeMemory> {
  const all = await processes();
  const members = new Set(roots);
  for (let grown = true; grown; ) {
    grown = false;
    for (const { pid, parent } of all) {
      if (!members.has(pid) && members.has(parent)) {
        members.add(pid);
        grown = true;
      }
    }
  }
  const counted = all.filter(({ pid }) => members.has(pid));
  const proportional = await Promise.all(counted.map(({ pid }) => proportionalKib(pid)));
  const known = proportional.every((kib) => kib !== undefined);
  const kib = known
    ? proportional.reduce<number>((sum, each) => sum + (each ?? 0), 0)
    : counted.reduce((sum, { residentKib }) => sum + residentKib, 0);
  return { processes: counted.length, mebibytes: kib / 1024, kind: known ? "PSS" : "RSS" };
}

/** A process that has just ended counts 0; where nobody is told, undefined. */
async function proportionalKib(pid: number): Promise<number | undefined> {
  try {
    const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
    return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ESRCH" || (code === "ENOENT" && process.platform === "linux") ? 0 : undefined;
  }
}

async function processes(): Promise<readonly ProcessEntry[]> {
  if (process.platform !== "linux") {
    const { stdout } = await run("ps", ["-axo", "pid=,ppid=,rss="]);
    return stdout
      .trim()
      .split("\n")
      .map((line) => line.trim().split(/\s+/).map(Number))
      .map(([pid = 0, parent = 0, residentKib = 0]) => ({ pid, parent, residentKib }));
  }
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const entries = await Promise.all(
    pids.map(async (pid) => {
      // A process may end while it is looked at.
      const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
      const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
      return { pid: Number(pid), parent: field("PPid"), residentKib: field("VmRSS") };
    }),
  );
  return entries;
}
