/** Starts a server of the bench as a process of its own, pinned to one core where the system can do that. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { DatabaseConfig, PostgresEndpoint } from "holdfast/postgres";
import { hasCommand } from "./commands.ts";

export interface ServerStart {
  readonly config: DatabaseConfig;
  readonly endpoint: PostgresEndpoint;
}

export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

export async function startServer(file: string, start: ServerStart, core: number): Promise<ServerProcess> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const [command, args] = (await hasCommand("taskset"))
    ? ["taskset", ["-c", String(core), process.execPath, path]]
    : [process.execPath, [path]];
  const child = spawn(command, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const ended = new Promise<never>((_, reject) => {
    child.once("exit", (code, signal) => reject(new Error(`${file} ended: ${code ?? signal}`)));
  });
  ended.catch(() => {});
  const ready = new Promise<{ port: number }>((resolve) => child.once("message", resolve as never));
  child.send(start);
  const { port } = await Promise.race([ready, ended]);
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid as number,
    async stop() {
      child.kill("SIGKILL");
      await ended.catch(() => {});
    },
  };
}
