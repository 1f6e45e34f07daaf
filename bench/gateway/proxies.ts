/** Starts each proxy of the bench as a fresh process on one core, in front of the same upstream. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { hasCommand } from "../redirects/commands.ts";

export interface RunningProxy {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** One core for the proxy, the other for upstream and load, where the system can pin them. */
export const cores = { proxy: 0, others: 1 } as const;

export function startNode(file: string, core: number, ...args: string[]): Promise<RunningProxy> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  return start([process.execPath, path, ...args], core, async (child) => {
    const { port } = await new Promise<{ port: number }>((resolve) =>
      child.once("message", resolve as never),
    );
    return port;
  });
}

export async function startNginx(upstreamPort: number): Promise<RunningProxy> {
  const folder = await mkdtemp(join(tmpdir(), "bench-nginx-"));
  const port = await freePort();
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${join(folder, name)};`)
    .join(" ");
  await writeFile(
    join(folder, "nginx.conf"),
    `daemon off; master_process off; worker_processes 1; pid ${join(folder, "pid")}; error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000000; ${temporary}
  upstream api { server 127.0.0.1:${upstreamPort}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; }
  }
}
`,
  );
  return inFolder(
    folder,
    await start(["nginx", "-p", folder, "-c", join(folder, "nginx.conf")], cores.proxy, listens(port)),
  );
}

export async function startHaproxy(upstreamPort: number): Promise<RunningProxy> {
  const folder = await mkdtemp(join(tmpdir(), "bench-haproxy-"));
  const port = await freePort();
  const file = join(folder, "haproxy.cfg");
  await writeFile(
    file,
    `global
  nbthread 1
  maxconn 2000
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  http-reuse always
frontend door
  bind 127.0.0.1:${port}
  default_backend api
backend api
  server a 127.0.0.1:${upstreamPort} pool-max-conn 128
`,
  );
  return inFolder(folder, await start(["haproxy", "-db", "-q", "-f", file], cores.proxy, listens(port)));
}

async function start(
  command: readonly string[],
  core: number,
  portOf: (child: ChildProcess) => Promise<number>,
): Promise<RunningProxy> {
  const pinned = (await hasCommand("taskset")) ? ["taskset", "-c", String(core), ...command] : command;
  const child = spawn(pinned[0] as string, pinned.slice(1), { stdio: ["ignore", "ignore", "pipe", "ipc"] });
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk;
  });
  const ended = new Promise<never>((_, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) =>
      reject(new Error(`${command[0]} ended: ${code ?? signal}\n${stderr}`)),
    );
  });
  ended.catch(() => undefined);
  const port = await Promise.race([portOf(child), ended]);
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid as number,
    async stop() {
      child.kill("SIGKILL");
      await ended.catch(() => undefined);
    },
  };
}

function inFolder(folder: string, proxy: RunningProxy): RunningProxy {
  return {
    ...proxy,
    async stop() {
      await proxy.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** Programs that cannot say when they are ready are asked until they answer. */
function listens(port: number): () => Promise<number> {
  return async () => {
    for (let tries = 0; tries < 200; tries++) {
      const answers = await fetch(`http://127.0.0.1:${port}/`).then(
        () => true,
        () => false,
      );
      if (answers) return port;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`nothing answers on port ${port}`);
  };
}
