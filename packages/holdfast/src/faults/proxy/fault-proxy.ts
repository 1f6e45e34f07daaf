/**
 * A TCP proxy that does to a link what a bad network does. With no fault set it changes nothing: half-close is
 * passed on, a slow reader slows its writer, a reset on one side is a reset on the other.
 *
 *   await using proxy = await startFaultProxy({ to: { host: "127.0.0.1", port: 5432 }, clock: systemClock });
 *   connect(proxy.port);
 *   await proxy.set({ forward: { delayMs: 50, jitterMs: 10 }, back: { hold: true } });
 *
 * What a proxy cannot do: refuse to complete a handshake. The kernel accepts a connection before the proxy sees
 * it, so while the link is cut a connection attempt succeeds and then nothing is heard.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { refuseProblems } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import { echoServer } from "./echo-server.ts";
import { OneWay } from "./one-way.ts";
import { type FaultProxyControl, noFault, type ProxySettings, proxySettingsProblems } from "./settings.ts";

export interface FaultProxyOptions {
  readonly to: { readonly host: string; readonly port: number };
  readonly clock: Clock;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default: a free one. */
  readonly port?: number;
}

export interface FaultProxy extends FaultProxyControl, AsyncDisposable {}

interface Pair {
  readonly set: (settings: ProxySettings) => void;
  readonly reset: () => void;
}

class TcpProxy implements FaultProxy {
  readonly host: string;
  port = 0;
  echoPort = 0;
  readonly #clock: Clock;
  readonly #pairs = new Set<Pair>();
  /** Accepted while the link was cut: who they want to talk to has not heard of them yet. */
  readonly #parked = new Map<Socket, () => void>();
  readonly #servers: Server[] = [];
  #settings: ProxySettings = noFault;
  #accepted = 0;
  #forwardBytes = 0;
  #backBytes = 0;

  constructor(host: string, clock: Clock) {
    this.host = host;
    this.#clock = clock;
  }

  async open(to: FaultProxyOptions["to"], port: number): Promise<void> {
    const echo = echoServer();
    this.#servers.push(echo);
    const echoTo = { host: this.host, port: await listen(echo, this.host, 0) };
    this.echoPort = await this.#door(echoTo, 0, false);
    this.port = await this.#door(to, port, true);
  }

  async set(settings: ProxySettings): Promise<void> {
    refuseProblems(
      "HOLDFAST_OPTIONS_INVALID",
      "The fault proxy's settings are wrong",
      proxySettingsProblems(settings),
    );
    this.#settings = settings;
    for (const pair of this.#pairs) pair.set(settings);
    if (!settings.forward.hold) for (const join of [...this.#parked.values()]) join();
  }

  async counts() {
    return {
      open: this.#pairs.size,
      accepted: this.#accepted,
      forwardBytes: this.#forwardBytes,
      backBytes: this.#backBytes,
    };
  }

  async close(): Promise<void> {
    const closing = this.#servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve)));
    for (const pair of this.#pairs) pair.reset();
    for (const socket of this.#parked.keys()) socket.resetAndDestroy();
    await Promise.all(closing);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #door(to: FaultProxyOptions["to"], port: number, counted: boolean): Promise<number> {
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (near) => {
      if (counted) this.#accepted++;
      const join = () => {
        this.#parked.delete(near);
        this.#join(near, connect({ ...to, allowHalfOpen: true, noDelay: true }), counted);
      };
      if (!this.#settings.forward.hold) {
        join();
        return;
      }
      this.#parked.set(near, join);
      near.once("error", () => {});
      near.once("close", () => this.#parked.delete(near));
    });
    this.#servers.push(server);
    return listen(server, this.host, port);
  }

  #join(near: Socket, far: Socket, counted: boolean): void {
    let ended = false;
    const end = (how: "reset" | "close") => {
      if (ended) return;
      ended = true;
      forward.stop();
      back.stop();
      this.#pairs.delete(pair);
      for (const socket of [near, far]) {
        if (how === "reset" && !socket.connecting) socket.resetAndDestroy();
        else if (how === "reset") socket.destroy();
        else socket.destroySoon();
      }
    };
    const reset = () => end("reset");
    const close = () => end("close");
    const forward = new OneWay(near, far, this.#clock, this.#settings.forward, {
      reset,
      close,
      passed: (bytes) => {
        if (counted) this.#forwardBytes += bytes;
      },
    });
    const back = new OneWay(far, near, this.#clock, this.#settings.back, {
      reset,
      close,
      passed: (bytes) => {
        if (counted) this.#backBytes += bytes;
      },
    });
    const pair: Pair = {
      reset,
      set(settings) {
        forward.set(settings.forward);
        if (!ended) back.set(settings.back);
      },
    };
    this.#pairs.add(pair);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      // A refused connection cannot be passed on any more: a reset is the nearest to it.
      socket.on("error", reset);
      socket.on("close", () => {
        if (other.destroyed) close();
      });
    }
    if (this.#settings.forward.resetAfterBytes === 0 || this.#settings.back.resetAfterBytes === 0) reset();
    else near.resume();
  }
}

/** Resolves when it listens. */
export async function startFaultProxy({
  to,
  clock,
  host = "127.0.0.1",
  port = 0,
}: FaultProxyOptions): Promise<FaultProxy> {
  const proxy = new TcpProxy(host, clock);
  try {
    await proxy.open(to, port);
  } catch (error) {
    await proxy.close();
    throw error;
  }
  return proxy;
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.removeListener("error", reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}
