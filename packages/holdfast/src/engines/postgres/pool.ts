/**
 * A pool: a bounded number of sessions with one server, for one operation each at a time.
 *
 * Sessions are opened on demand. When all are in use an operation waits in a bounded queue, first come first
 * served, no longer than its call's deadline. Whatever happens before a session is handed out was not applied.
 * A free session that already looks at the wanted schema is preferred: its prepared statements are warm.
 */
import { type Call, HoldfastError, type LogPosition } from "../../call/index.ts";
import type { Clock, Timer } from "../../clock/index.ts";
import type { PostgresEndpoint } from "./config.ts";
import { noConnectionError, overError, type Patience, patienceOf, vacantError } from "./pool-lease.ts";
import { PgSession } from "./session.ts";
import { SharedSessions } from "./shared-sessions.ts";

export interface PoolOptions {
  readonly node: string;
  readonly role: "primary" | "replica";
  readonly endpoint: PostgresEndpoint;
  readonly applicationName: string;
  /** Most sessions at a time. Default 10. More than the server has cores brings little. */
  readonly size?: number;
  /** Most operations waiting for a session; one more is refused. Default 32 for each session. */
  readonly queueMax?: number;
  /** Whether statements that come again are prepared. Default true. */
  readonly prepare?: boolean;
  /** How long opening a connection may take, in milliseconds. Default 2_000. */
  readonly connectTimeoutMs?: number;
  /**
   * The server is perhaps not what it was: a connection broke or could not be opened, or it refused its role.
   *
   * @param timeline a timeline that is known to have begun
   */
  readonly onTrouble?: (timeline?: number) => void;
}

/** What a pool is told to do while no server has its role. */
export type Vacancy =
  /** Those who ask wait, as long as they are patient; `why` is what they are told when that ends. */
  | { readonly kind: "wait"; readonly why: string }
  /** Those who ask are refused. */
  | { readonly kind: "refuse"; readonly error: HoldfastError };

export const poolDefaults = { size: 10, queueMaxPerSession: 32, connectTimeoutMs: 2_000 } as const;

/** After a failed connect, readers that have another server to ask do so for this long. */
const avoidMs = 500;
/** How long `close` waits for operations under way before it cuts them off. */
const closeGraceMs = 5_000;
/** How long a server has to end a connection that was said goodbye to; one that stands still never does. */
const goodbyeMs = 1_000;

interface Waiter {
  readonly since: number;
  readonly patience: Patience;
  resolve(session: PgSession): void;
  reject(error: HoldfastError): void;
}

export class NodePool {
  readonly node: string;
  readonly role: "primary" | "replica";
  /** Sessions that readers share. */
  readonly shared: SharedSessions = new SharedSessions(this);
  /** A position that this standby is known to have reached. Forgotten when its server goes away. */
  replayed: LogPosition | undefined;
  readonly #clock: Clock;
  readonly #options: PoolOptions;
  readonly #size: number;
  readonly #queueMax: number;
  readonly #idle: PgSession[] = [];
  readonly #leased = new Set<PgSession>();
  readonly #waiters = new Set<Waiter>();
  #connecting = 0;
  #endpoint: PostgresEndpoint;
  #vacancy: Vacancy | undefined;
  /** Grows with each move: sessions of an earlier one are not given to anybody. */
  #move = 0;
  #moveOf = new WeakMap<PgSession, number>();
  #avoidUntilMs = Number.NEGATIVE_INFINITY;
  #closing: Promise<void> | undefined;
  #drained: (() => void) | undefined;

  constructor(options: PoolOptions, clock: Clock) {
    this.node = options.node;
    this.role = options.role;
    this.#endpoint = options.endpoint;
    this.#options = options;
    this.#clock = clock;
    this.#size = options.size ?? poolDefaults.size;
    this.#queueMax = options.queueMax ?? this.#size * poolDefaults.queueMaxPerSession;
  }

  /** Where it connects to; while no server has its role, where it did before. */
  get endpoint(): PostgresEndpoint {
    return this.#endpoint;
  }

  /** For messages: database, node and role. */
  get where(): string {
    return `${this.#endpoint.database}/${this.node} ${this.role}`;
  }

  /** Whether the last connect failed a moment ago: ask another server first if there is one. */
  get avoided(): boolean {
    return this.#idle.length === 0 && this.#clock.monotonicMs() < this.#avoidUntilMs;
  }

  /** Whether an operation waits for a session of its own. */
  get crowded(): boolean {
    return this.#waiters.size > 0;
  }

  /** Whether a session that is in use would be handed out now: not while closing, nor of a server that was left. */
  hands(session: PgSession): boolean {
    return session.sound && !this.#closing && !this.#vacancy && this.#isCurrent(session);
  }

  /** Sessions in use, free, being opened, and operations waiting. */
  get load(): { leased: number; idle: number; connecting: number; waiting: number } {
    return {
      leased: this.#leased.size,
      idle: this.#idle.length,
      connecting: this.#connecting,
      waiting: this.#waiters.size,
    };
  }

  /**
   * Runs `run` with a session of its own, and takes it back.
   *
   * @param patience default: ten seconds, no call
   * @throws {HoldfastError} HOLDFAST_OVERLOADED, HOLDFAST_UNAVAILABLE, HOLDFAST_DEADLINE or HOLDFAST_ABORTED, not applied
   */
  async use<T>(run: (session: PgSession) => Promise<T>, patience?: Patience, schema?: string): Promise<T> {
    const session = await this.lease(patience ?? patienceOf(undefined, this.#clock), schema);
    try {
      return await run(session);
    } finally {
      this.release(session);
    }
  }

  /** A session of one's own; every lease must be released. @throws as `use` says */
  lease(patience: Patience, schema?: string): Promise<PgSession> | PgSession {
    if (this.#closing) throw this.#closedError();
    if (this.#vacancy?.kind === "refuse") throw this.#vacancy.error;
    patience.call?.throwIfOver();
    const free = this.#takeIdle(schema);
    if (free) {
      this.#leased.add(free);
      return free;
    }
    // Those for whom a connection is being opened do not count: they are not waiting for anybody else's.
    const opening = this.#size - this.#leased.size;
    if (this.#waiters.size >= this.#queueMax + opening) {
      throw new HoldfastError(
        "HOLDFAST_OVERLOADED",
        `${this.where}: ${this.#size} connections are in use and ${this.#queueMax} operations wait. Send less, or make the pool larger.`,
        { data: { where: this.where, size: this.#size, waiting: this.#waiters.size } },
      );
    }
    const session = this.#wait(patience);
    this.#fill();
    return session;
  }

  /** Takes a session back; one that is not fit for the next holder is closed. */
  release(session: PgSession): void {
    if (!this.#leased.delete(session)) return;
    if (session.reusable && !this.#closing && this.#isCurrent(session)) {
      this.#offer(session);
    } else {
      // Whatever it is in the middle of is nobody's any more; the server rolls it back.
      if (session.transactionStatus === "I" && !session.ended) void this.#part(session);
      else session.destroy();
      this.#fill();
    }
    this.#checkDrained();
  }

  /**
   * Takes a session back whose COMMIT is under way and that nobody waits for any more: once it is answered. Until
   * then it counts as in use. Closing it would not end the server's wait for its standbys, so that each write that
   * gives up would leave one more of the server's connections behind.
   */
  releaseOnceAnswered(session: PgSession): void {
    session.onceAnswered(() => this.release(session));
  }

  /**
   * Goes on with another server. Those who wait get theirs from there.
   *
   * @param cut ends what is under way on the server before with this; default: it may end by itself. A COMMIT that
   *   is cut is unknown, and settled on the new server; everything else was not applied
   */
  pointAt(endpoint: PostgresEndpoint, cut?: HoldfastError): void {
    this.#leave(cut);
    this.#endpoint = endpoint;
    this.#vacancy = undefined;
    this.#avoidUntilMs = Number.NEGATIVE_INFINITY;
    this.#fill();
  }

  /** No server has its role for now. @param cut as `pointAt` says */
  vacate(vacancy: Vacancy, cut?: HoldfastError): void {
    this.#leave(cut);
    this.#vacancy = vacancy;
    if (vacancy.kind === "refuse") for (const waiter of [...this.#waiters]) waiter.reject(vacancy.error);
  }

  /** Says that the server is perhaps not what it was. @param timeline one that is known to have begun */
  suspect(timeline?: number): void {
    if (!this.#closing) this.#options.onTrouble?.(timeline);
  }

  #leave(cut: HoldfastError | undefined): void {
    this.#move++;
    this.replayed = undefined;
    for (const session of this.#idle.splice(0)) void this.#part(session);
    if (cut) for (const session of this.#leased) session.destroy(cut);
  }

  #isCurrent(session: PgSession): boolean {
    return this.#moveOf.get(session) === this.#move;
  }

  /** Refuses new operations, lets those under way end (for five seconds), and closes. May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // Not before the caller has its promise, so that a second close sees the first.
    await null;
    for (const waiter of [...this.#waiters]) waiter.reject(this.#closedError());
    const idle = this.#idle.splice(0);
    const closing = idle.map((session) => this.#part(session));
    if (this.#leased.size > 0 || this.#connecting > 0) {
      const drained = new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
      const timer = this.#clock.timer(
        closeGraceMs,
        () => {
          for (const session of this.#leased) session.destroy();
          this.#drained?.();
        },
        { ref: true },
      );
      await drained;
      timer.cancel();
    }
    await Promise.all(closing);
  }

  /** Closes a session, the hard way when the server does not answer. */
  async #part(session: PgSession): Promise<void> {
    const cut = this.#clock.timer(goodbyeMs, () => session.destroy(), { ref: true });
    await session.close();
    cut.cancel();
  }

  #checkDrained(): void {
    if (this.#drained && this.#leased.size === 0 && this.#connecting === 0) this.#drained();
  }

  #takeIdle(schema: string | undefined): PgSession | undefined {
    // From the end: the session used last is the warmest.
    for (let i = this.#idle.length - 1; schema !== undefined && i >= 0; i--) {
      const session = this.#idle[i];
      if (session?.schema === schema) return this.#idle.splice(i, 1)[0];
    }
    return this.#idle.pop();
  }

  #wait(patience: Patience): Promise<PgSession> {
    return new Promise((resolve, reject) => {
      const { call } = patience;
      const since = this.#clock.monotonicMs();
      let timer: Timer | undefined;
      const done = () => {
        this.#waiters.delete(waiter);
        timer?.cancel();
        call?.signal?.removeEventListener("abort", over);
      };
      const waiter: Waiter = {
        since,
        patience,
        resolve: (session) => {
          done();
          resolve(session);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      };
      const over = () => waiter.reject(overError(call as Call, "not-applied"));
      call?.signal?.addEventListener("abort", over, { once: true });
      // A call with a deadline gives up by its signal.
      if (!call || call.deadlineAtMs === Number.POSITIVE_INFINITY) {
        const waitMs = Math.max(0, patience.untilMs - since);
        timer = this.#clock.timer(waitMs, () => waiter.reject(this.#inVainError(waitMs)));
      }
      this.#waiters.add(waiter);
    });
  }

  /** Opens sessions for those who wait, as far as the size allows. */
  #fill(): void {
    if (this.#vacancy) return;
    const total = () => this.#idle.length + this.#leased.size + this.#connecting;
    while (!this.#closing && this.#waiters.size > this.#connecting && total() < this.#size)
      void this.#connect();
  }

  async #connect(): Promise<void> {
    this.#connecting++;
    const move = this.#move;
    try {
      const session = await PgSession.connect(this.#endpoint, {
        applicationName: this.#options.applicationName,
        where: this.where,
        connectTimeoutMs: this.#options.connectTimeoutMs ?? poolDefaults.connectTimeoutMs,
        prepare: this.#options.prepare ?? true,
      });
      this.#connecting--;
      session.connectedAtMs = this.#clock.monotonicMs();
      this.#moveOf.set(session, move);
      session.onEnd = () => this.#forget(session);
      if (this.#closing || !this.#isCurrent(session)) {
        void this.#part(session);
        this.#fill();
      } else {
        this.#avoidUntilMs = Number.NEGATIVE_INFINITY;
        this.#offer(session);
      }
    } catch (error) {
      this.#connecting--;
      // Of the server before, it says nothing about this one.
      if (move === this.#move) this.#connectFailed(error as HoldfastError);
      else this.#fill();
    }
    this.#checkDrained();
  }

  #connectFailed(error: HoldfastError): void {
    this.#avoidUntilMs = this.#clock.monotonicMs() + avoidMs;
    this.replayed = undefined;
    this.suspect();
    // With sessions in use the server is there, only full: those who wait get one of these in time.
    if (this.#leased.size > 0 && error.code === "HOLDFAST_OVERLOADED") return;
    if (this.#connecting > 0) {
      const [first] = this.#waiters;
      first?.reject(error);
      return;
    }
    for (const waiter of [...this.#waiters]) waiter.reject(error);
  }

  #offer(session: PgSession): void {
    if (session.ended) return;
    const [waiter] = this.#waiters;
    if (waiter) {
      this.#leased.add(session);
      waiter.resolve(session);
    } else {
      this.#idle.push(session);
    }
  }

  #forget(session: PgSession): void {
    const at = this.#idle.indexOf(session);
    if (at >= 0) this.#idle.splice(at, 1);
    if (!this.#isCurrent(session)) return;
    this.replayed = undefined;
    if (at >= 0 || this.#leased.has(session)) this.suspect();
  }

  #inVainError(waitedMs: number): HoldfastError {
    const vacancy = this.#vacancy;
    return vacancy?.kind === "wait"
      ? vacantError(this.where, vacancy.why, waitedMs)
      : noConnectionError(this.where, waitedMs);
  }

  #closedError(): HoldfastError {
    return new HoldfastError(
      "HOLDFAST_UNAVAILABLE",
      `${this.where}: the pool is closed, because its world is closing. Nothing was sent.`,
    );
  }
}
