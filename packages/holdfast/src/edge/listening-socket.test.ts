/** The shared listening socket, with real processes that are killed and restarted. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { echo, type Upstream, until, upstream } from "./fixtures/upstream.ts";
import { bindListeningSocket, type ListeningSocket } from "./listening-socket.ts";

const sockets: ListeningSocket[] = [];
const workers: ChildProcess[] = [];
const instances: Upstream[] = [];

afterEach(async () => {
  for (const worker of workers.splice(0)) await killed(worker, "SIGKILL");
  for (const socket of sockets.splice(0)) socket.close();
  for (const instance of instances.splice(0)) await instance.close();
});

function bound(host = "127.0.0.1", port = 0): ListeningSocket {
  const socket = bindListeningSocket({ host, port });
  sockets.push(socket);
  return socket;
}

const workerFile = fileURLToPath(new URL("./fixtures/gateway-worker.ts", import.meta.url));

async function worker(socket: ListeningSocket, instance: Upstream): Promise<ChildProcess> {
  const child = spawn(process.execPath, [workerFile, String(instance.port)], {
    stdio: ["ignore", "pipe", "inherit", socket.fd],
  });
  workers.push(child);
  await once(child.stdout as NodeJS.ReadableStream, "data");
  return child;
}

async function killed(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill(signal);
  await exit;
}

async function instanceForTest(): Promise<Upstream> {
  const instance = await upstream("a", echo);
  instances.push(instance);
  return instance;
}

/** A request on a connection of its own; resolves with its status, or the code of its error. */
function ask(port: number): Promise<number | string> {
  return new Promise((resolve) => {
    const request = http.get({ host: "127.0.0.1", port, agent: false }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode as number));
      response.on("error", (error: Error & { code?: string }) => resolve(error.code ?? error.message));
    });
    request.on("error", (error: Error & { code?: string }) => resolve(error.code ?? error.message));
  });
}

test("a port is chosen when 0 is asked for, and a taken one is refused with the way out", async () => {
  const socket = bound();
  expect(socket.port).toBeGreaterThan(0);
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  for (const host of ["127.0.0.1", "localhost", "0.0.0.0"]) {
    expect(() => bindListeningSocket({ host, port })).toThrowError(
      expect.objectContaining({ code: "HOLDFAST_PORT_IN_USE", message: expect.stringContaining("--port") }),
    );
  }
  server.close();
});

test("an address that is none is refused by name", () => {
  for (const host of ["nowhere.test", "192.0.2.1"]) {
    expect(() => bindListeningSocket({ host, port: 0 })).toThrowError(
      expect.objectContaining({ code: "HOLDFAST_OPTIONS_INVALID", message: expect.stringContaining(host) }),
    );
  }
});

test("closing twice is closing once", () => {
  const socket = bindListeningSocket({ host: "127.0.0.1", port: 0 });
  socket.close();
  socket.close();
});

test("of two workers one is killed under load: only what was inside it fails", async () => {
  const socket = bound();
  const instance = await instanceForTest();
  const [first] = await Promise.all([worker(socket, instance), worker(socket, instance)]);
  const clients = 8;
  let stop = false;
  const answers: (number | string)[] = [];
  const load = Array.from({ length: clients }, async () => {
    while (!stop) answers.push(await ask(socket.port));
  });
  await until("some load", () => answers.length > 200);
  await killed(first as ChildProcess, "SIGKILL");
  const atDeath = answers.length;
  await until("load after the death", () => answers.length > atDeath + 300);
  stop = true;
  await Promise.all(load);
  const failed = answers.filter((answer) => answer !== 200);
  // Each client had at most one request in there, and none was refused or reset while it queued.
  expect(failed.length).toBeLessThanOrEqual(clients);
  expect(failed.filter((answer) => answer !== "ECONNRESET")).toEqual([]);
  expect(answers.slice(atDeath + clients).filter((answer) => answer !== 200)).toEqual([]);
});

test.each(["SIGKILL", "SIGTERM"] as const)(
  "while the only worker is away after %s, connections wait instead of being refused",
  async (signal) => {
    const socket = bound();
    const instance = await instanceForTest();
    const first = await worker(socket, instance);
    expect(await ask(socket.port)).toBe(200);
    await killed(first, signal);
    const before = instance.seen.length;
    const waiting = Array.from({ length: 50 }, () => ask(socket.port));
    const race = await Promise.race([
      ...waiting,
      new Promise((resolve) => setTimeout(resolve, 200, "nobody")),
    ]);
    expect(race).toBe("nobody");
    await worker(socket, instance);
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([200]));
    expect(instance.seen.length).toBe(before + 50);
  },
);

test("a worker that restarts while another one works fails nothing", async () => {
  const socket = bound();
  const instance = await instanceForTest();
  const [first] = await Promise.all([worker(socket, instance), worker(socket, instance)]);
  let stop = false;
  const answers: (number | string)[] = [];
  const load = Array.from({ length: 8 }, async () => {
    while (!stop) answers.push(await ask(socket.port));
  });
  await until("some load", () => answers.length > 100);
  const drained = killed(first as ChildProcess, "SIGTERM");
  await drained;
  await worker(socket, instance);
  const atRestart = answers.length;
  await until("load after the restart", () => answers.length > atRestart + 100);
  stop = true;
  await Promise.all(load);
  expect(answers.filter((answer) => answer !== 200)).toEqual([]);
});
