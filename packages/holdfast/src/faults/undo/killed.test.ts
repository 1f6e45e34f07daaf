/** What was done by a process is undone when that process is killed with SIGKILL, or interrupted. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findProgram } from "../../testkit/debian.ts";
import { startTestPostgres } from "../../testkit/postgres.ts";
import { until } from "../../testkit/wait.ts";
import type { Doom } from "../fixtures/doomed.ts";
import { type Harmed, startHarmed } from "../fixtures/harmed.ts";
import { cpuGroupRefusal } from "../process/cpu-group.ts";
import { isWholeStopped, processTree, sendSignal } from "../process/proc.ts";

const file = fileURLToPath(new URL("../fixtures/doomed.ts", import.meta.url));
const root = process.getuid?.() === 0 && process.platform === "linux";

let dir: string;
let server: Harmed;
let doomed: ChildProcess;
/** What it printed before its effect. */
let said: Record<string, unknown> = {};
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "holdfast-killed-"));
  server = await startHarmed({ children: 1 });
});
afterEach(async () => {
  doomed?.kill("SIGKILL");
  if (said.pid !== undefined) sendSignal(said.pid as number, "SIGKILL");
  await server[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

/** Resolves when the fault is there. */
async function inject(doom: Doom): Promise<void> {
  doomed = spawn(process.execPath, [file, JSON.stringify(doom), dir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  said = {};
  for await (const line of createInterface({ input: doomed.stdout as NodeJS.ReadableStream })) {
    Object.assign(said, JSON.parse(line));
    if (said.effect) return;
  }
  throw new Error("it ended before its fault was there");
}

async function die(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
  doomed.kill(signal);
  if (doomed.exitCode === null && doomed.signalCode === null) await once(doomed, "exit");
}

const stopped = async () => Promise.all((await processTree(server.pid)).map(isWholeStopped));

for (const signal of ["SIGKILL", "SIGTERM", "SIGINT"] as const) {
  test(`a pause ends after ${signal}`, async () => {
    await inject({ fault: { kind: "pause" }, pid: server.pid });
    expect(await stopped()).toEqual([true, true]);
    await die(signal);
    await until(async () => !(await stopped()).some(Boolean), { what: "the end of the pause" });
    expect(await server.ask("hello")).toBe("hello");
  });
}

test.skipIf(!root)("starvation by a control group ends", async () => {
  expect(await cpuGroupRefusal()).toBeUndefined();
  const cgroup = () => readFile(`/proc/${server.pid}/cgroup`, "utf8");
  const home = await cgroup();
  await inject({ fault: { kind: "cpu-starvation", share: 0.1 }, pid: server.pid });
  expect(await cgroup()).not.toBe(home);
  const group = /holdfast-\d+-\d+/.exec(await cgroup())?.[0] as string;
  await die();
  await until(async () => (await cgroup()) === home, { what: "the way home" });
  await until(
    () => !execFileSync("find", ["/sys/fs/cgroup", "-name", group, "-maxdepth", "2"], { encoding: "utf8" }),
  );
});

test("starvation by turns ends", async () => {
  await inject({ fault: { kind: "cpu-starvation", share: 0.05 }, pid: server.pid, turns: true });
  await die();
  await until(async () => !(await stopped()).some(Boolean));
  expect(await server.ask("hello")).toBe("hello");
});

test.skipIf(!root)("a full disk is gone with all that is on it", async () => {
  const data = join(dir, "data");
  await inject({ fault: { kind: "disk-full" }, dir: data });
  expect(await readdir(data)).toContain(".holdfast-filler");
  expect(await readFile("/proc/mounts", "utf8")).toContain(data);
  await die();
  await until(async () => !(await readFile("/proc/mounts", "utf8")).includes(data));
  await until(async () => (await readdir(dir)).length === 0);
});

test("a wrong clock is set right", async () => {
  await findProgram({ names: ["faketime"], debianPackage: "faketime" });
  await inject({ fault: { kind: "clock-offset", offsetMs: 3_600_000 }, file: "0" });
  const [name] = await readdir(dir);
  const offset = () => readFile(join(dir, name as string), "utf8");
  expect(await offset()).toBe("+3600.000000\n");
  await die();
  await until(async () => (await offset()) === "+0\n");
});

for (const own of [true, false]) {
  test(`a cut link is gone with its proxy, ${own ? "in a process of its own" : "in the process that died"}`, async () => {
    await inject({ fault: { kind: "partition" }, port: server.port, turns: !own });
    await die();
    // Nobody listens there any more: who goes on needs the direct way, and nothing of the fault is left.
    await until(
      () =>
        new Promise<boolean>((resolve) => {
          const socket = connect({ host: "127.0.0.1", port: said.port as number });
          socket.on("connect", () => resolve(socket.destroy() && false));
          socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"));
        }),
      { what: "the end of the proxy" },
    );
    expect(await server.ask("hello")).toBe("hello");
  });
}

test.skipIf(!root)("a network is removed with its cuts", async () => {
  await inject({ fault: { kind: "partition" }, port: 0, network: true });
  const mine = () =>
    execFileSync("ip", ["netns", "list"], { encoding: "utf8" })
      .split("\n")
      .filter((line) => line.startsWith(`hf${doomed.pid?.toString(36)}`));
  expect(mine()).toHaveLength(2);
  await die();
  await until(() => mine().length === 0, { what: "the end of the network" });
});

test("a standby goes on replaying", async () => {
  await using postgres = await startTestPostgres({ replicas: 1 });
  const { primary, replicas } = (postgres.nodes[0] as (typeof postgres.nodes)[0]).endpoints("test");
  const standby = replicas[0] as Required<NonNullable<Doom["standby"]>>;
  const state = async () => {
    const client = new pg.Client({ ...standby });
    await client.connect();
    const { rows } = await client.query<{ state: string }>("select pg_get_wal_replay_pause_state() as state");
    await client.end();
    return rows[0]?.state;
  };
  await inject({ fault: { kind: "replica-lag" }, standby, primary: primary as typeof standby });
  expect(await state()).toBe("paused");
  await die();
  await until(async () => (await state()) === "not paused", { what: "replay" });
});
