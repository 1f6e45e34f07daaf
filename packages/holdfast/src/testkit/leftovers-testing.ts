/** For the kit's own tests: is anything left of servers, also after the process that started them was killed? */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readlink, stat } from "node:fs/promises";
import { createInterface } from "node:readline";
import { isRunning, type ProcessIdentity, processStartTime } from "../engines/postgres/embedded/index.ts";
import { until } from "./wait.ts";

export interface Seen {
  readonly processes: readonly ProcessIdentity[];
  /** Their working directories, where the system tells them. */
  readonly dirs: readonly string[];
}

/** What there is now of the servers with these process ids. */
export async function seen(pids: readonly number[]): Promise<Seen> {
  const processes = await Promise.all(
    pids.map(async (pid) => ({ pid, startTime: (await processStartTime(pid)) ?? "gone before it was seen" })),
  );
  const dirs = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => undefined)));
  return { processes, dirs: dirs.filter((dir) => dir !== undefined) };
}

/** Resolves when none of the processes and none of the directories is there; says what is when that takes too long. */
export async function nothingIsLeft({ processes, dirs }: Seen): Promise<void> {
  for (const process of processes) {
    await until(async () => !(await isRunning(process)), { what: `the end of process ${process.pid}` });
  }
  for (const dir of dirs) await until(() => gone(dir), { what: `the removal of ${dir}` });
}

function gone(path: string): Promise<boolean> {
  return stat(path).then(
    () => false,
    () => true,
  );
}

export interface Victim extends AsyncDisposable {
  readonly pid: number;
  /** What the script printed first. */
  readonly said: unknown;
  /** Kills the process. It has no chance to clean up. */
  kill(): Promise<void>;
}

export interface VictimOptions {
  readonly uid?: number;
  readonly gid?: number;
  readonly env?: NodeJS.ProcessEnv;
}

/** A process that runs `script`, which prints one line of JSON, and then waits to be killed. */
export async function startVictim(script: string, options: VictimOptions = {}): Promise<Victim> {
  const child = spawn(
    process.execPath,
    ["--input-type=module", "-e", `${script}\nsetInterval(() => {}, 1000);`],
    { ...options, cwd: "/", stdio: ["ignore", "pipe", "inherit"] },
  );
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  const [line] = await Promise.race([
    once(createInterface(child.stdout), "line"),
    once(child, "exit").then(([code]) => {
      throw new Error(`the process ended with ${code} before it said anything`);
    }),
  ]);
  return { pid: child.pid as number, said: JSON.parse(String(line)), kill, [Symbol.asyncDispose]: kill };
}

/** A process that has started servers with a function of the kit, and waits: `startServersElsewhere("./etcd.ts", "startTestEtcd", "{}")`. */
export async function startServersElsewhere(
  module: string,
  name: string,
  options: string,
  as: VictimOptions = {},
): Promise<{ victim: Victim; left: Seen }> {
  const script = `
    import { ${name} } from ${JSON.stringify(new URL(module, import.meta.url).href)};
    const { members } = await ${name}(${options});
    console.log(JSON.stringify(members.map((member) => member.pid)));`;
  const victim = await startVictim(script, as);
  return { victim, left: await seen(victim.said as number[]) };
}
