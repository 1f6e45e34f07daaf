/**
 * The fault proxy with no fault set, in a process of its own, beside a bare connection and HAProxy in TCP mode:
 * what it costs to have it on a link. Sender and receiver are in this process, in turns with each way.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededRandom, systemClock } from "holdfast/clock";
import { spawnFaultProxy } from "holdfast/faults";
import { freePort } from "holdfast/testkit";
import { type Bench, type Figure, median } from "./bench.ts";
import { hasCommand } from "./redirects/commands.ts";
import { nanosecondsEach } from "./side-by-side.ts";

interface Way {
  readonly name: string;
  readonly port: number;
  stop(): Promise<void>;
}

const ours = "fault proxy";

const bench: Bench = {
  name: "fault-proxy",
  title: "The fault proxy with no fault set beside a bare connection and HAProxy: bytes/s and added latency",
  async run(size, seed) {
    const { rounds, bytes, trips } =
      size === "full"
        ? { rounds: 5, bytes: 256 << 20, trips: 5_000 }
        : { rounds: 1, bytes: 16 << 20, trips: 100 };
    const server = await echoOrSwallow();
    const { port } = server.address() as AddressInfo;
    const ways: Way[] = [{ name: "bare connection", port, stop: async () => {} }];
    try {
      const proxy = await spawnFaultProxy({ to: { host: "127.0.0.1", port } });
      ways.unshift({ name: ours, port: proxy.port, stop: () => proxy.close() });
      if (await hasCommand("haproxy")) ways.push(await startHaproxy(port));
      else console.error("HAProxy is left out: the program haproxy is not installed.");
      for (const way of ways) await checkUnchanged(way, seed);
      const each = <T>(run: (way: Way) => T) =>
        Object.fromEntries(ways.map((way) => [way.name, () => run(way)]));
      const nsPerByte = await nanosecondsEach(
        { rounds, operations: bytes },
        each((way) => pour(way, bytes)),
      );
      const tripUs = new Map(ways.map(({ name }) => [name, [] as number[]]));
      for (let round = 0; round < rounds; round++) {
        for (const way of ways) tripUs.get(way.name)?.push(await roundTripUs(way, trips));
      }
      const bareUs = median(tripUs.get("bare connection") ?? []);
      const figures: Figure[] = [];
      for (const { name } of ways) {
        const peer = (figure: string) => (name === ours ? {} : { peer: `${ours}, ${figure}` });
        figures.push({
          name: `${name}, throughput`,
          unit: "MB/s",
          value: 1_000 / (nsPerByte[name] as number),
          better: "higher",
          ...peer("throughput"),
        });
        figures.push({
          name: `${name}, round trip`,
          unit: "us",
          value: median(tripUs.get(name) ?? []),
          better: "lower",
          ...peer("round trip"),
        });
        if (name === "bare connection") continue;
        figures.push({
          name: `${name}, added to a round trip`,
          unit: "us",
          // On a busy machine the difference of two medians can be anything; it is never nothing.
          value: Math.max(0.1, median(tripUs.get(name) ?? []) - bareUs),
          better: "lower",
          ...peer("added to a round trip"),
        });
      }
      return {
        figures,
        checked: "each way returned 8 MiB of drawn bytes with the hash with which they were sent",
      };
    } finally {
      for (const way of ways) await way.stop();
      server.close();
    }
  },
};
export default bench;

/** The first byte says which: `e` sends back what follows, `s` swallows it, and says one byte at the end. */
async function echoOrSwallow(): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.once("data", (first: Buffer) => {
      if (first[0] === 0x65) {
        socket.write(first.subarray(1));
        socket.pipe(socket);
      } else socket.on("data", () => {}).on("end", () => socket.end("."));
    });
    socket.on("error", () => {});
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return server;
}

async function open({ port }: Way, mode: "e" | "s"): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
  await once(socket, "connect");
  socket.write(mode);
  return socket;
}

async function checkUnchanged(way: Way, seed: number): Promise<void> {
  const sent = Buffer.from(seededRandom(seed).bytes(8 << 20));
  const socket = await open(way, "e");
  const hash = createHash("sha256");
  socket.on("data", (piece) => hash.update(piece));
  socket.end(sent);
  await once(socket, "end");
  socket.destroy();
  if (hash.digest("hex") !== createHash("sha256").update(sent).digest("hex")) {
    throw new Error(`${way.name} changed what it forwarded`);
  }
}

async function pour(way: Way, bytes: number): Promise<void> {
  const socket = await open(way, "s");
  const piece = Buffer.alloc(256 << 10, "holdfast");
  for (let sent = 0; sent < bytes; sent += piece.length) {
    if (!socket.write(piece)) await once(socket, "drain");
  }
  socket.end();
  await once(socket, "data");
  socket.destroy();
}

async function roundTripUs(way: Way, trips: number): Promise<number> {
  const socket = await open(way, "e");
  const tookUs: number[] = [];
  for (let trip = 0; trip < trips; trip++) {
    const fromMs = systemClock.monotonicMs();
    const answered = once(socket, "data");
    socket.write("x");
    await answered;
    tookUs.push((systemClock.monotonicMs() - fromMs) * 1_000);
  }
  socket.destroy();
  return median(tookUs);
}

async function startHaproxy(to: number): Promise<Way> {
  const folder = await mkdtemp(join(tmpdir(), "bench-haproxy-"));
  const port = await freePort();
  const file = join(folder, "haproxy.cfg");
  const config = `global
  nbthread 1
defaults
  mode tcp
  timeout connect 2s
  timeout client 60s
  timeout server 60s
listen link
  bind 127.0.0.1:${port}
  server a 127.0.0.1:${to}
`;
  await writeFile(file, config);
  const child: ChildProcess = spawn("haproxy", ["-db", "-q", "-f", file], { stdio: "ignore" });
  const exited = once(child, "exit");
  const stop = async () => {
    child.kill("SIGKILL");
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  for (let tries = 0; tries < 200 && child.exitCode === null; tries++) {
    const socket = connect({ host: "127.0.0.1", port });
    const listens = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (listens) return { name: "HAProxy", port, stop };
    await systemClock.sleep(25);
  }
  await stop();
  throw new Error("HAProxy did not start");
}
