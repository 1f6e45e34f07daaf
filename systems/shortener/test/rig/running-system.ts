/**
 * The real system, as `holdfast up` runs it: a project of its own in a temporary folder, all processes real.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, until } from "holdfast/testkit";

export interface InstanceStatus {
  readonly name: string;
  readonly kind: "service" | "worker" | "gateway" | "traffic";
  readonly part: string;
  readonly state: string;
  readonly pid?: number;
  readonly port?: number;
  readonly restarts: number;
  readonly upMs?: number;
}

export interface ServerStatus {
  readonly name: string;
  readonly role: "primary" | "replica";
  readonly lagBytes?: number;
  readonly state: string;
  readonly pid?: number;
  readonly port: number;
}

export interface SystemStatus {
  readonly state: string;
  readonly instances: readonly InstanceStatus[];
  readonly servers: readonly ServerStatus[];
}

export interface RunningShortener extends AsyncDisposable {
  /** Where the gateway answers, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  status(): Promise<SystemStatus>;
  instances(part: "api" | "edge" | "tally" | "census"): Promise<readonly InstanceStatus[]>;
  server(role: "primary" | "replica"): Promise<ServerStatus>;
  /** Kills by SIGKILL. @returns when the process was certainly dead, on the clock of `performance.now()` */
  kill(pid: number): Promise<number>;
  /** Resolves when every process is ready again. */
  whole(): Promise<void>;
  /** What the supervisor has printed. */
  output(): string;
  stop(): Promise<void>;
}

const bin = join(dirname(fileURLToPath(import.meta.resolve("holdfast/package.json"))), "bin/holdfast.js");
const system = fileURLToPath(new URL("../../system.ts", import.meta.url));

export async function startShortener(): Promise<RunningShortener> {
  const folder = await mkdtemp(join(tmpdir(), "shortener-"));
  await chmod(folder, 0o711); // as root, the database servers run as another user, who has to pass
  await writeFile(join(folder, "package.json"), '{"private":true,"type":"module"}\n');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const supervisor = spawn(process.execPath, [bin, "up", system, "--port", String(port), "--no-watch"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  for (const stream of [supervisor.stdout, supervisor.stderr]) stream.on("data", (text) => (printed += text));
  // If the test process goes, so does what it started.
  const onExit = () => supervisor.kill("SIGTERM");
  process.once("exit", onExit);

  const status = () => askStatus(folder);
  const whole = async () => {
    await until(
      async () => {
        if (supervisor.exitCode !== null) throw new Error(`the supervisor ended:\n${printed}`);
        const { state, instances, servers } = await status();
        return state === "running" && [...instances, ...servers].every((one) => one.state === "ready");
      },
      { timeoutMs: 50_000, everyMs: 100, what: "every process being ready" },
    ).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}\n${printed}`, { cause: error });
    });
  };
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= ended(supervisor).then(async () => {
      process.off("exit", onExit);
      await rm(folder, { recursive: true, force: true });
    });
    return stopping;
  };
  const running: RunningShortener = {
    url,
    port,
    status,
    whole,
    stop,
    [Symbol.asyncDispose]: stop,
    output: () => printed,
    instances: async (part) => (await status()).instances.filter((instance) => instance.part === part),
    async server(role) {
      const found = (await status()).servers.find((server) => server.role === role);
      if (!found) throw new Error(`there is no ${role}`);
      return found;
    },
    async kill(pid) {
      process.kill(pid, "SIGKILL");
      await until(() => isGone(pid), { everyMs: 1, what: `the end of process ${pid}` });
      return performance.now();
    },
  };
  try {
    await whole();
  } catch (error) {
    await stop();
    throw error;
  }
  return running;
}

/** What `holdfast status --json` prints, asked without starting a process for it. */
async function askStatus(folder: string): Promise<SystemStatus> {
  const record = await readFile(join(folder, ".holdfast/supervisor.json"), "utf8");
  const { socket } = JSON.parse(record) as { socket: string };
  return new Promise((resolve, reject) => {
    get({ socketPath: socket, path: "/status", agent: false }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (part) => {
        text += part;
      });
      answer.on("end", () => resolve(JSON.parse(text) as SystemStatus));
      answer.on("error", reject);
    }).on("error", reject);
  });
}

async function ended(supervisor: ChildProcess): Promise<void> {
  if (supervisor.exitCode !== null || supervisor.signalCode !== null) return;
  const exit = new Promise<void>((resolve) => supervisor.once("exit", () => resolve()));
  supervisor.kill("SIGTERM");
  await exit;
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}
