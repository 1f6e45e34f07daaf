/**
 * The instances of one service, as a gateway sees them: connections, load, health, and whose turn it is.
 */
import { Pool } from "undici";
import type { Clock, Timer } from "../clock/index.ts";
import { chooseOfTwo } from "./balance.ts";
import type { GatewayEndpoint } from "./gateway-options.ts";
import { type Health, type HealthEvent, healthy, isHealthy, stepHealth } from "./health-step.ts";
import { healthPath } from "./serve.ts";

export const connectTimeoutMs = 2000;

export class Endpoint {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly pool: Pool;
  inFlight = 0;
  #health: Health = healthy;
  readonly #changed: () => void;

  constructor({ id, host, port }: GatewayEndpoint, changed: () => void) {
    this.id = id;
    this.host = host;
    this.port = port;
    this.#changed = changed;
    // One pool an instance: which instance a request goes to is our choice. Deadlines are ours too, so undici
    // keeps no timer for each request. Idle connections go before the instance would close them (75 s).
    this.pool = new Pool(`http://${host.includes(":") ? `[${host}]` : host}:${port}`, {
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: 30_000,
      keepAliveMaxTimeout: 60_000,
      connect: { timeout: connectTimeoutMs },
    });
  }

  is({ host, port }: GatewayEndpoint): boolean {
    return this.host === host && this.port === port;
  }

  healthy(nowMs: number): boolean {
    return isHealthy(this.#health, nowMs);
  }

  get draining(): boolean {
    return this.#health.draining;
  }

  get outUntilMs(): number {
    return this.#health.outUntilMs;
  }

  tell(event: HealthEvent): void {
    const next = stepHealth(this.#health, event);
    if (next === this.#health) return;
    this.#health = next;
    this.#changed();
  }

  /** Asks the instance how it is. Never throws. */
  async check(timeoutMs: number): Promise<void> {
    try {
      const { statusCode, body } = await this.pool.request({
        path: healthPath,
        method: "GET",
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      });
      await body.dump();
      const answer = statusCode === 200 ? "ready" : statusCode === 503 ? "draining" : "failed";
      this.tell({ kind: "check", answer });
    } catch (error) {
      const refused = (error as { code?: string }).code === "ECONNREFUSED";
      this.tell({ kind: "check", answer: refused ? "refused" : "failed" });
    }
  }
}

export class ServiceEndpoints {
  readonly #clock: Clock;
  readonly #healthMs: number;
  #all: readonly Endpoint[] = [];
  #ready: readonly Endpoint[] | undefined;
  /** When the first instance that is out for a while comes back. */
  #readyUntilMs = 0;
  #timer: Timer | undefined;
  readonly #closing = new Set<Pool>();

  constructor(clock: Clock, healthMs: number) {
    this.#clock = clock;
    this.#healthMs = healthMs;
  }

  get all(): readonly Endpoint[] {
    return this.#all;
  }

  /** Instances that stay keep their connections and what is known about them; the others finish and are let go. */
  replace(wanted: readonly GatewayEndpoint[]): void {
    const known = new Map(this.#all.map((endpoint) => [endpoint.id, endpoint]));
    this.#all = wanted.map((one) => {
      const old = known.get(one.id);
      if (!old?.is(one)) return new Endpoint(one, this.#forget);
      known.delete(one.id);
      return old;
    });
    for (const gone of known.values()) this.#letGo(gone.pool);
    this.#forget();
    if (this.#all.length > 0) this.#timer ??= this.#clock.timer(this.#healthMs, this.#checkAll);
  }

  /**
   * One of the healthy instances; of all of them when none is, because an instance that seems bad is a better
   * bet than a certain failure. Those in `tried` only when there is no other.
   */
  pick(nowMs: number, tried: readonly Endpoint[]): Endpoint | undefined {
    let ready = this.#ready;
    if (ready === undefined || nowMs >= this.#readyUntilMs) ready = this.#look(nowMs);
    if (tried.length > 0) {
      const untried = ready.filter((endpoint) => !tried.includes(endpoint));
      if (untried.length > 0) ready = untried;
    }
    return chooseOfTwo(ready, this.#clock.random);
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    const pools = [...this.#all.map((endpoint) => endpoint.pool), ...this.#closing];
    this.#all = [];
    this.#forget();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  #look(nowMs: number): readonly Endpoint[] {
    this.#readyUntilMs = Infinity;
    for (const { outUntilMs } of this.#all) {
      if (outUntilMs > nowMs) this.#readyUntilMs = Math.min(this.#readyUntilMs, outUntilMs);
    }
    const healthyOnes = this.#all.filter((endpoint) => endpoint.healthy(nowMs));
    const staying = healthyOnes.length > 0 ? healthyOnes : this.#all.filter((endpoint) => !endpoint.draining);
    this.#ready = staying.length > 0 ? staying : this.#all;
    return this.#ready;
  }

  readonly #forget = (): void => {
    this.#ready = undefined;
  };

  readonly #checkAll = (): void => {
    void Promise.all(this.#all.map((endpoint) => endpoint.check(this.#healthMs))).then(() => {
      if (this.#timer !== undefined) this.#timer = this.#clock.timer(this.#healthMs, this.#checkAll);
    });
  };

  #letGo(pool: Pool): void {
    this.#closing.add(pool);
    void pool.close().then(
      () => this.#closing.delete(pool),
      () => this.#closing.delete(pool),
    );
  }
}
