/** A control group of one's own with a CPU quota, of version 1 or 2, and the way back out of it. */
import { spawn } from "node:child_process";
import { access, constants, mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../clock/index.ts";
import type { InjectorContext } from "../run/injector.ts";
import { shellQuote } from "../undo/shell-quote.ts";
import type { UndoEntry } from "../undo/undo-guard.ts";
import { readStat } from "./proc.ts";

const periodUs = 50_000;
/** Linux counts CPU time in hundredths of a second for everybody who reads it. */
const ticksPerS = 100;
let made = 0;

interface Hierarchy {
  readonly version: "v1" | "v2";
  /** Where groups are made. */
  readonly root: string;
}

export interface CpuGroup {
  readonly version: "v1" | "v2";
  readonly path: string;
  /** Moves processes here; those that have gone meanwhile are left out. */
  take(pids: readonly number[]): Promise<void>;
  members(): Promise<readonly number[]>;
  /** Moves every process back and removes the group. */
  close(): Promise<void>;
  gone(): Promise<boolean>;
}

/** Why there can be no such group here; undefined when there can. */
export async function cpuGroupRefusal(): Promise<string | undefined> {
  const hierarchy = await findHierarchy();
  return typeof hierarchy === "string" ? hierarchy : undefined;
}

async function findHierarchy(): Promise<Hierarchy | string> {
  const writable = (path: string) =>
    access(path, constants.W_OK).then(
      () => true,
      () => false,
    );
  for (const root of ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"]) {
    if (await writable(join(root, "cpu.cfs_quota_us")).catch(() => false)) return { version: "v1", root };
    if ((await writable(root)) && (await writable(join(root, "cgroup.procs"))))
      return { version: "v1", root };
  }
  const root = "/sys/fs/cgroup";
  const controllers = await readFile(join(root, "cgroup.subtree_control"), "utf8").catch(() => "");
  if (controllers.split(/\s/).includes("cpu") && (await writable(root))) return { version: "v2", root };
  return "no control group with a CPU quota can be made here (it takes root and a writable /sys/fs/cgroup)";
}

export async function openCpuGroup(share: number, { guard }: InjectorContext): Promise<CpuGroup> {
  const hierarchy = await findHierarchy();
  if (typeof hierarchy === "string") throw new Error(hierarchy);
  const { version, root } = hierarchy;
  const path = join(root, `holdfast-${process.pid}-${++made}`);
  const procs = join(path, "cgroup.procs");
  const quotaUs = Math.max(1_000, Math.round(periodUs * share));
  const entries: UndoEntry[] = [
    await guard.promise(
      `for p in $(cat ${shellQuote(procs)}); do echo $p >${shellQuote(join(root, "cgroup.procs"))}; done; rmdir ${shellQuote(path)}`,
    ),
  ];
  await mkdir(path);
  if (version === "v2") await writeFile(join(path, "cpu.max"), `${quotaUs} ${periodUs}`);
  else {
    await writeFile(join(path, "cpu.cfs_period_us"), String(periodUs));
    await writeFile(join(path, "cpu.cfs_quota_us"), String(quotaUs));
  }
  const homes = new Map<number, string>();
  const members = async () => (await readFile(procs, "utf8")).split("\n").filter(Boolean).map(Number);
  return {
    version,
    path,
    members,
    async take(pids) {
      const inside = await members();
      for (const pid of pids) {
        if (inside.includes(pid)) continue;
        const home = await homeOf(pid, hierarchy);
        if (home === undefined) continue;
        homes.set(pid, home);
        // The guard runs the latest first: this one finds the process before the group is emptied to the root.
        entries.push(
          await guard.promise(`grep -qx ${pid} ${shellQuote(procs)} && echo ${pid} >${shellQuote(home)}`),
        );
        await move(pid, procs);
      }
    },
    async close() {
      for (
        let left = await members().catch(() => []);
        left.length > 0;
        left = await members().catch(() => [])
      ) {
        // A child that was born here goes where its parent came from.
        const home = [...homes.values()][0] ?? join(root, "cgroup.procs");
        for (const pid of left) await move(pid, homes.get(pid) ?? home);
      }
      await rmdir(path).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
      });
      for (const entry of entries.splice(0)) await entry.kept();
    },
    gone: () =>
      access(path).then(
        () => false,
        () => true,
      ),
  };
}

/**
 * What a busy loop in the group gets, as a share of one CPU: the quota is of the whole group, so this is what its
 * members have between them.
 */
export async function burnedShare(clock: Clock, ms: number, group: CpuGroup): Promise<number> {
  const loop = spawn("/bin/sh", ["-c", "read go; while :; do :; done"], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  const exited = new Promise((resolve) => loop.once("exit", resolve));
  try {
    const pid = loop.pid as number;
    await move(pid, join(group.path, "cgroup.procs"));
    loop.stdin?.write("\n");
    const fromMs = clock.monotonicMs();
    const before = (await readStat(pid))?.cpuTicks ?? 0;
    await clock.sleep(ms);
    const after = (await readStat(pid))?.cpuTicks ?? 0;
    return (after - before) / ticksPerS / ((clock.monotonicMs() - fromMs) / 1_000);
  } finally {
    loop.kill("SIGKILL");
    await exited;
  }
}

async function move(pid: number, procs: string): Promise<void> {
  await writeFile(procs, String(pid)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ESRCH") throw error;
  });
}

/** The file of the group that the process is in now. */
async function homeOf(pid: number, { version, root }: Hierarchy): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/cgroup`, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  for (const line of text.split("\n")) {
    const [, controllers = "", path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const mine = version === "v2" ? controllers === "" : controllers.split(",").includes("cpu");
    if (mine) return join(root, path, "cgroup.procs");
  }
  return join(root, "cgroup.procs");
}
