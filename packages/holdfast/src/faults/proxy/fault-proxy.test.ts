/** The fault proxy: changes nothing by itself, and does what it is told. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { until } from "../../testkit/wait.ts";
import { forwardUnchanged } from "../fixtures/forward-unchanged.ts";
import { roundTrip } from "../link/round-trip.ts";
import { type FaultProxy, startFaultProxy } from "./fault-proxy.ts";
import { noFault } from "./settings.ts";
import { spawnFaultProxy } from "./spawn-fault-proxy.ts";

/** Accepted connections of the server behind the proxy, the latest last. */
let accepted: Socket[];
let server: Server;
let proxy: FaultProxy;
beforeEach(async () => {
  accepted = [];
  server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    accepted.push(socket);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  proxy = await startFaultProxy({ to: { host: "127.0.0.1", port }, clock: systemClock });
});
afterEach(async () => {
  await proxy.close();
  for (const socket of accepted) socket.destroy();
  server.close();
});

/** Both ends of a connection through the proxy. */
async function pair(): Promise<{ near: Socket; far: Socket }> {
  const count = accepted.length;
  const near = connect({ port: proxy.port, host: proxy.host, allowHalfOpen: true });
  near.on("error", () => {});
  const far = await until(() => accepted[count]);
  return { near, far };
}

/** What has come by now. */
function seen(socket: Socket): () => string {
  let text = "";
  socket.on("data", (piece) => {
    text += piece;
  });
  return () => text;
}

function errorOf(socket: Socket): Promise<string> {
  return new Promise((resolve) =>
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "")),
  );
}

test("with no fault set it forwards some hundred megabytes each way without changing a byte", async () => {
  const { sent, received } = await forwardUnchanged(startFaultProxy, { bytes: 160 << 20, seed: 1 });
  expect(received).toEqual(sent);
});

test("each side may end its half, and the other half goes on", async () => {
  const { near, far } = await pair();
  const [atFar, atNear] = [seen(far), seen(near)];
  near.end("question");
  await once(far, "end");
  expect(atFar()).toBe("question");
  far.write("a long ");
  await until(() => atNear() === "a long ");
  far.end("answer");
  await once(near, "end");
  expect(atNear()).toBe("a long answer");
  await until(async () => (await proxy.counts()).open === 0, { what: "the end of the connection" });
  expect(await proxy.counts()).toEqual({ open: 0, accepted: 1, forwardBytes: 8, backBytes: 13 });
});

test("a reader that does not read stops its writer: the proxy keeps no more than buffers", async () => {
  const { near, far } = await pair();
  far.pause();
  const piece = Buffer.alloc(1 << 20);
  // What the kernel and both ends take, on every system, is far less than this.
  for (let sent = 0; sent < 128; sent++) near.write(piece);
  await until(async () => {
    const before = near.writableLength;
    await systemClock.sleep(100);
    return before > 0 && near.writableLength === before;
  });
  const { forwardBytes } = await proxy.counts();
  expect(forwardBytes).toBeLessThan(64 << 20);
  far.resume();
  await until(() => near.writableLength === 0);
});

test("a reset on either side is a reset on the other", async () => {
  const one = await pair();
  const atNear = errorOf(one.near);
  one.far.resetAndDestroy();
  expect(await atNear).toBe("ECONNRESET");
  const two = await pair();
  const atFar = errorOf(two.far);
  two.near.resetAndDestroy();
  expect(await atFar).toBe("ECONNRESET");
});

test("nobody there: the connection is reset", async () => {
  server.close();
  const near = connect({ port: proxy.port, host: proxy.host });
  expect(await errorOf(near)).toBe("ECONNRESET");
});

test("a cut one way holds that way only, and what was held arrives when it ends", async () => {
  const { near, far } = await pair();
  const [atFar, atNear] = [seen(far), seen(near)];
  await proxy.set({ forward: { hold: true }, back: {} });
  near.write("held");
  far.write("not held");
  await until(() => atNear() === "not held");
  expect(atFar()).toBe("");
  await proxy.set(noFault);
  await until(() => atFar() === "held");
});

test("a cut keeps new connections from their server until it ends", async () => {
  await proxy.set({ forward: { hold: true }, back: { hold: true } });
  const near = connect({ port: proxy.port, host: proxy.host });
  near.write("hello");
  await until(async () => (await proxy.counts()).accepted === 1);
  expect(accepted).toHaveLength(0);
  await proxy.set(noFault);
  const far = await until(() => accepted[0]);
  const atFar = seen(far);
  await until(() => atFar() === "hello");
  near.destroy();
});

test("a black hole swallows, and a connection that lost bytes is reset when it ends", async () => {
  const { near, far } = await pair();
  const other = await pair();
  const [atFar, atOther] = [seen(far), seen(other.far)];
  await proxy.set({ forward: { swallow: true }, back: {} });
  near.write("lost");
  await until(() => near.bytesWritten === 4 && near.writableLength === 0);
  const reset = errorOf(near);
  await until(async () => (await proxy.counts()).forwardBytes === 0);
  await systemClock.sleep(50); // for the bytes to come to the proxy, which counts only what it passes on
  await proxy.set(noFault);
  expect(await reset).toBe("ECONNRESET");
  expect(atFar()).toBe("");
  other.near.write("whole");
  await until(() => atOther() === "whole");
});

test("a reset after so many bytes lets exactly those through", async () => {
  const { near, far } = await pair();
  const atFar = seen(far);
  await proxy.set({ forward: { resetAfterBytes: 5 }, back: {} });
  const reset = errorOf(near);
  near.write("123456789");
  expect(await reset).toBe("ECONNRESET");
  await until(() => far.closed);
  expect(atFar()).toBe("12345");
});

test("a reset by chance takes about that share of pieces, each way", async () => {
  const share = 0.05;
  await proxy.set({ forward: { resetShare: share }, back: { resetShare: share } });
  const pieces = 2_000;
  let resets = 0;
  let asked = 0;
  while (asked < pieces) {
    const { end } = await roundTrip(systemClock, { host: proxy.host, port: proxy.echoPort, boundMs: 5_000 });
    expect(end).not.toBe("silent");
    asked++;
    if (end === "failed") resets++;
  }
  // A round trip is two pieces, there and back, each of which may be the last.
  const expected = pieces * (1 - (1 - share) ** 2);
  expect(resets).toBeGreaterThan(expected * 0.7);
  expect(resets).toBeLessThan(expected * 1.3);
});

test("a reset at once takes open connections and new ones", async () => {
  const { near } = await pair();
  const reset = errorOf(near);
  await proxy.set({ forward: { resetAfterBytes: 0 }, back: {} });
  expect(await reset).toBe("ECONNRESET");
  expect(await errorOf(connect({ port: proxy.port, host: proxy.host }))).toBe("ECONNRESET");
});

test("a limit closes the connection in order", async () => {
  const { near, far } = await pair();
  const atFar = seen(far);
  await proxy.set({ forward: { closeAfterBytes: 3 }, back: {} });
  near.write("123456789");
  await once(far, "end");
  expect(atFar()).toBe("123");
});

test("latency delays each way that is named, in order, and is gone when it ends", async () => {
  const { near, far } = await pair();
  far.on("data", (piece) => far.write(piece));
  const atNear = seen(near);
  const roundTripMs = async (text: string) => {
    const from = systemClock.monotonicMs();
    const before = atNear().length;
    near.write(text);
    await until(() => atNear().length === before + text.length, { everyMs: 1 });
    return systemClock.monotonicMs() - from;
  };
  await proxy.set({ forward: { delayMs: 60, jitterMs: 20 }, back: {} });
  expect(await roundTripMs("a")).toBeGreaterThanOrEqual(39);
  await proxy.set({ forward: { delayMs: 60 }, back: { delayMs: 60 } });
  expect(await roundTripMs("b")).toBeGreaterThanOrEqual(119);
  await proxy.set({ forward: { delayMs: 20, jitterMs: 20 }, back: {} });
  for (let index = 0; index < 50; index++) near.write(`${index},`);
  await until(() => atNear().endsWith("49,"));
  expect(atNear()).toBe(`ab${Array.from({ length: 50 }, (_, index) => `${index},`).join("")}`);
});

test("bandwidth is bounded, also for a piece that is larger than a second's worth", async () => {
  const { near, far } = await pair();
  const hash = createHash("sha256");
  let bytes = 0;
  far.on("data", (piece) => {
    bytes += piece.length;
    hash.update(piece);
  });
  await proxy.set({ forward: { bytesPerSecond: 200_000 }, back: {} });
  const from = systemClock.monotonicMs();
  const sent = Buffer.alloc(100_000, "holdfast");
  near.write(sent);
  await until(() => bytes === sent.length, { everyMs: 2 });
  expect(systemClock.monotonicMs() - from).toBeGreaterThanOrEqual(490);
  expect(hash.digest("hex")).toBe(createHash("sha256").update(sent).digest("hex"));
});

test("a slow close passes the end on later than the bytes", async () => {
  const { near, far } = await pair();
  const atFar = seen(far);
  let ended = false;
  far.on("end", () => {
    ended = true;
  });
  await proxy.set({ forward: { closeDelayMs: 300 }, back: {} });
  near.end("last words");
  await until(() => atFar() === "last words");
  expect(ended).toBe(false);
  await until(() => ended);
});

test("wrong settings are told all at once, and change nothing", async () => {
  const wrong = proxy.set({
    forward: { delayMs: -1, color: 1 },
    back: { bytesPerSecond: 0, hold: 3 },
  } as never);
  await expect(wrong).rejects.toMatchObject({
    code: "HOLDFAST_OPTIONS_INVALID",
    message: expect.stringMatching(/4 problems/),
  });
});

test("in a process of its own it does the same, and ends when told", async () => {
  const { port } = server.address() as AddressInfo;
  const spawned = await spawnFaultProxy({ to: { host: "127.0.0.1", port } });
  const near = connect({ port: spawned.port, host: spawned.host });
  const far = await until(() => accepted[0]);
  const atFar = seen(far);
  await spawned.set({ forward: { hold: true }, back: {} });
  near.write("held");
  await expect(spawned.set({ forward: { delayMs: -1 }, back: {} })).rejects.toThrow(
    /delayMs should be from 0/,
  );
  expect(atFar()).toBe("");
  await spawned.set(noFault);
  await until(() => atFar() === "held");
  expect(await spawned.counts()).toMatchObject({ open: 1, accepted: 1, forwardBytes: 4 });
  const closed = once(near, "close");
  near.on("error", () => {});
  await spawned.close();
  await closed;
  await expect(spawned.counts()).rejects.toMatchObject({ code: "HOLDFAST_UNAVAILABLE" });
});

test("a port in use is told", async () => {
  const { port } = server.address() as AddressInfo;
  const to = { host: "127.0.0.1", port };
  await expect(startFaultProxy({ to, port, clock: systemClock })).rejects.toMatchObject({
    code: "EADDRINUSE",
  });
  await expect(spawnFaultProxy({ to, port })).rejects.toThrow(/did not start: .*EADDRINUSE/);
});
