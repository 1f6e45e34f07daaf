/**
 * The relay of one source: one loop that looks what is new, for all destinations that this process has the lease of,
 * and one piece of work at a time for each of them, so that a destination that is away holds up no other.
 */
import { Call, inCall } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import { type Cursor, trimCursor } from "./cursor.ts";
import type { UseSession } from "./held.ts";
import { dropLeases, leaseDefaults, mayRelay, takeLeases } from "./lease.ts";
import type { OutboxRoute } from "./move-on.ts";
import { rotateOutbox } from "./rotation.ts";
import { peek } from "./source.ts";

export interface SourceRelayOptions {
  readonly routes: readonly OutboxRoute[];
  /** Sessions of the source's primary. */
  readonly use: UseSession;
  /** Sessions of the home primary of a route's destination. */
  homeOf(route: OutboxRoute): UseSession;
  readonly clock: Clock;
  /** Of this process: new for each. */
  readonly owner: string;
  readonly reluctant: boolean;
  readonly retentionMs: number;
  /** Has `wake` called when something was committed to the outbox. @returns how to stop */
  listen(wake: () => void): () => void;
  /** Runs each move, and each look at the home, and may tell of it. */
  report(route: OutboxRoute, run: () => Promise<number>): Promise<number>;
}

/** Pauses, in milliseconds. Being woken ends any of them. */
const pauses = { poll: 500, held: 100, seek: 1_000, away: 2_000, forbidden: 60_000 } as const;
const careMsMax = 60_000;
/** A cursor is read again after so long: a home that failed over may have an older one, and nobody tells. */
const refreshMs = 5_000;
/** After a failure a destination is left alone for so long, doubled with each. */
const backoffMs = { min: 50, max: 2_000 } as const;
/** After so many failures in a row others may try: this process lets the lease go, and asks again after a while. */
const failuresMax = 5;
const yieldMs = 15_000;

interface Work {
  running: Promise<void> | undefined;
  failures: number;
  notBeforeMs: number;
}

export class SourceRelay {
  readonly #options: SourceRelayOptions;
  readonly #clock: Clock;
  readonly #work: ReadonlyMap<OutboxRoute, Work>;
  readonly #running: Promise<void>;
  /** Whether the source's role lets it; not known where nothing is installed yet. */
  #may: boolean | undefined;
  #led: ReadonlySet<string> = new Set();
  #leaseAtMs = Number.NEGATIVE_INFINITY;
  #caredAtMs: number;
  #refreshedAtMs: number;
  #caring: Promise<void> | undefined;
  #stopListening: (() => void) | undefined;
  #stopping = false;
  #woken = false;
  #sleeping: AbortController | undefined;

  constructor(options: SourceRelayOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#work = new Map(
      options.routes.map((route) => [
        route,
        { running: undefined, failures: 0, notBeforeMs: Number.NEGATIVE_INFINITY },
      ]),
    );
    this.#caredAtMs = this.#clock.monotonicMs();
    this.#refreshedAtMs = this.#caredAtMs;
    // Of nobody's call: it carries neither a deadline nor a session.
    this.#running = inCall(new Call(this.#clock), () => this.#run());
  }

  wake(): void {
    this.#woken = true;
    this.#sleeping?.abort();
  }

  /** What is under way ends first. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.wake();
    this.#stopListening?.();
    await this.#running;
    await Promise.all([...this.#work.values()].map(({ running }) => running));
    await this.#caring;
    if (this.#led.size === 0) return;
    await this.#options.use((session) => dropLeases(session, this.#options.owner)).catch(() => {});
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      let pauseMs: number;
      try {
        pauseMs = await this.#round();
      } catch {
        // The source is away: what it has waits, and so does this.
        pauseMs = pauses.away * (0.5 + this.#clock.random.next() / 2);
        this.#leaseAtMs = Number.NEGATIVE_INFINITY;
      }
      await this.#pause(pauseMs);
    }
  }

  async #pause(ms: number): Promise<void> {
    this.#sleeping = new AbortController();
    if (!this.#woken && !this.#stopping) await this.#clock.sleep(ms, this.#sleeping.signal).catch(() => {});
    this.#woken = false;
  }

  /** @returns how long to pause */
  async #round(): Promise<number> {
    const { use, routes, owner, reluctant, listen } = this.#options;
    if (this.#clock.monotonicMs() >= this.#leaseAtMs) {
      this.#may ||= await use(mayRelay);
      if (!this.#may) return this.#may === false ? pauses.forbidden : pauses.away;
      const destinations = routes.filter((route) => this.#works(route)).map((route) => route.name);
      const { leaseMs, renewMs } = leaseDefaults;
      this.#led = await use((session) => takeLeases(session, { owner, reluctant, destinations, leaseMs }));
      this.#leaseAtMs = this.#clock.monotonicMs() + renewMs;
    }
    if (this.#led.size === 0) {
      this.#stopListening?.();
      this.#stopListening = undefined;
      return pauses.seek * (0.5 + this.#clock.random.next() / 2);
    }
    this.#stopListening ??= listen(() => this.wake());
    await this.#moveNews();
    this.#care();
    const held = routes.some((route) => this.#led.has(route.name) && route.holds);
    return held ? pauses.held : pauses.poll;
  }

  /** Whether this process is the one to ask for it. */
  #works(route: OutboxRoute): boolean {
    const work = this.#work.get(route) as Work;
    if (work.failures < failuresMax) return true;
    if (this.#clock.monotonicMs() < work.notBeforeMs + yieldMs) return false;
    work.failures = failuresMax - 1;
    return true;
  }

  async #moveNews(): Promise<void> {
    const { report } = this.#options;
    const nowMs = this.#clock.monotonicMs();
    const idle = [...this.#work].filter(
      ([route, work]) => this.#led.has(route.name) && !work.running && nowMs >= work.notBeforeMs,
    );
    const refresh = nowMs - this.#refreshedAtMs >= refreshMs;
    if (refresh) this.#refreshedAtMs = nowMs;
    const known: { readonly route: OutboxRoute; readonly destination: string; readonly cursor: Cursor }[] =
      [];
    for (const [route, work] of idle) {
      const cursor = refresh ? undefined : route.known;
      if (cursor) known.push({ route, destination: route.name, cursor });
      else this.#start(work, () => report(route, () => route.refresh()));
    }
    if (known.length === 0) return;
    const news = await this.#options.use((session) => peek(session, known));
    for (const { route, destination } of known) {
      const work = this.#work.get(route) as Work;
      if (news.has(destination)) this.#start(work, () => this.#move(route));
      else if (route.holds) this.#start(work, () => route.releaseHeld(), false);
    }
  }

  async #move(route: OutboxRoute): Promise<void> {
    for (;;) {
      const count = await this.#options.report(route, () => route.moveBatch());
      // What is little comes with the next look, which costs less than a batch of nothing.
      if (this.#stopping || count === 0 || !(route.known?.more || count >= 100)) break;
    }
    if (route.holds) await route.releaseHeld();
  }

  #start(work: Work, run: () => Promise<unknown>, wakes = true): void {
    work.running = run()
      .then(
        () => {
          work.failures = 0;
        },
        () => {
          const ms = Math.min(backoffMs.max, backoffMs.min * 2 ** work.failures++);
          work.notBeforeMs = this.#clock.monotonicMs() + ms * (0.5 + this.#clock.random.next() / 2);
          // The next round lets the lease go.
          if (work.failures === failuresMax) this.#leaseAtMs = Number.NEGATIVE_INFINITY;
        },
      )
      .finally(() => {
        work.running = undefined;
        if (wakes && work.failures === 0) this.wake();
      });
  }

  #care(): void {
    const { retentionMs } = this.#options;
    const everyMs = Math.min(careMsMax, retentionMs / 8);
    if (this.#caring || this.#clock.monotonicMs() - this.#caredAtMs < everyMs) return;
    this.#caring = this.#rotate()
      .catch(() => {}) // the next round tries again; nothing depends on its time
      .finally(() => {
        this.#caredAtMs = this.#clock.monotonicMs();
        this.#caring = undefined;
      });
  }

  async #rotate(): Promise<void> {
    const { routes, use, retentionMs, homeOf } = this.#options;
    const read = await Promise.all(
      // As the homes have them now; what cannot be asked is kept.
      routes.map((route) =>
        route.standing().then(
          ({ cursor }) => [{ route, destination: route.name, cursor }],
          () => [],
        ),
      ),
    );
    const passed = read.flat();
    const { keptSince } = await use((session) => rotateOutbox(session, passed, retentionMs));
    if (keptSince === undefined) return;
    for (const { route } of passed) {
      await homeOf(route)(async (session) => {
        await session.send({ text: "begin read write; set local synchronous_commit = off" });
        // A failover may bring back what was emptied: so long it is not forgotten that it has come.
        await trimCursor(session, route.source, route.name, keptSince, retentionMs);
        await session.send({ text: "commit" });
      }).catch(() => {});
    }
  }
}
