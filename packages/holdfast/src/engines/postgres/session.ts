/**
 * A session: one connection to one Postgres server, held by one user at a time.
 *
 * It is always pipelined: `send` writes at once, whether or not the statements before it were answered, and
 * everything sent in one turn of the event loop leaves in one packet. It is read-only unless a transaction
 * says otherwise, so that a statement sent behind a BEGIN that fails cannot commit alone. It remembers what it
 * has set on the server (schema, time limit, prepared statements) to set nothing twice.
 */
import net from "node:net";
import pg from "pg";
import type { HoldfastError } from "../../call/index.ts";
import type { Isolation } from "../../parts/database/index.ts";
import type { PostgresEndpoint } from "./config.ts";
import {
  ExtendedQuery,
  type ExtendedResult,
  type PreparedStatement,
  type Trailer,
  type TrailRow,
} from "./extended-query.ts";
import {
  claimBackend,
  isOnOtherBackend,
  onBackendSql,
  pooledSettings,
  poolerError,
  refusedByPooler,
} from "./pooler.ts";
import { rowTypes } from "./query-answer.ts";
import { searchPath } from "./search-path.ts";
import {
  connectError,
  connectionLostError,
  endsSession,
  isServerError,
  outdatesSession,
  statementError,
} from "./session-error.ts";
import { SimpleQuery } from "./simple-query.ts";

export interface Statement {
  readonly text: string;
  readonly values?: readonly unknown[];
  /** Always sent as a prepared statement, from its first use on: for statements that never vary. */
  readonly prepare?: boolean;
  /** It names its schema itself: the search path means nothing to it. Schema and `key` stand for the text. */
  readonly placed?: { readonly schema: string; readonly key: string };
  /** To be answered behind it, in the same transaction: for facts that have to be newer than its answer. */
  readonly trailer?: Trailer | undefined;
}

/** A statement that goes with COMMIT; prepared by the session once per schema. */
export interface Rider {
  readonly name: string;
  /** With parameters `$1` …, cast to their types. */
  readonly text: string;
  /** SQL literals, comma separated, of the framework's own making: never a user's values. */
  readonly values: string;
}

export interface SqlResult<Row> {
  readonly rows: Row[];
  readonly rowCount: number | null;
  /** First word of the command tag, such as `INSERT`. */
  readonly command: string;
  /** The trailer's row, as the server wrote it. */
  readonly trail?: TrailRow | undefined;
}

export interface Notice {
  readonly code: string | undefined;
  readonly routine: string | undefined;
}

/** What a server says of itself when a session opens. */
export interface ServerFacts {
  readonly standby: boolean;
  /** System identifier of the cluster, in decimal. */
  readonly system: string;
  readonly timeline: number;
  readonly walSegmentBytes: bigint;
  /** Its wall clock then, in milliseconds since 1970. */
  readonly wallMs: number;
  /** When the server was started, in seconds since 1970: tells two addresses of one server from two servers. */
  readonly startedAt: string;
}

export interface SessionOptions {
  readonly applicationName: string;
  /** For messages, such as `links/node-1 primary`. */
  readonly where: string;
  readonly connectTimeoutMs: number;
  /** Whether statements that come again are prepared. Default true. */
  readonly prepare?: boolean;
}

const noValues: readonly unknown[] = [];
/** The search path of a new session: unqualified names mean no shard. */
export const noSchema = "";
/** Prepared statements kept per session; beyond it one that was not used for long makes room. */
const preparedMax = 128;
/** A holder that stands still inside a transaction (a paused process) loses it, and its locks, after this. */
const idleInTransactionMs = 60_000;

interface DriverSocket {
  readonly connection: {
    on(event: "readyForQuery", listener: () => void): void;
    readonly stream: net.Socket;
    readonly parsedStatements: Record<string, string | undefined>;
  };
  readonly processID: number | null;
  readonly secretKey: number | null;
}

const factsSql = `select pg_is_in_recovery() as standby,
  (select system_identifier::text from pg_control_system()) as system,
  case when pg_is_in_recovery() then greatest(
      (select timeline_id from pg_control_checkpoint()),
      (select min_recovery_end_timeline from pg_control_recovery()),
      (select received_tli from pg_stat_wal_receiver))
    else ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int end as timeline,
  pg_size_bytes(current_setting('wal_segment_size'))::text as segment,
  (extract(epoch from clock_timestamp()) * 1000)::float8 as wall,
  extract(epoch from pg_postmaster_start_time())::text as started, pg_backend_pid() as backend`;

export class PgSession {
  readonly where: string;
  readonly endpoint: PostgresEndpoint;
  /** When it was connected, on the monotonic scale of whoever did. */
  connectedAtMs = 0;
  /** Called once, when the session ends for whatever reason. */
  onEnd: (() => void) | undefined;
  #ownEnd: (() => void) | undefined;
  /** Called for each NOTICE and WARNING while set. */
  onNotice: ((notice: Notice) => void) | undefined;
  #facts: ServerFacts | undefined;
  readonly #client: pg.Client & DriverSocket;
  #ended = false;
  #tainted = false;
  #corked = false;
  #onReady: (() => void) | undefined;
  #inFlight = 0;
  #whenAnswered: (() => void)[] = [];
  #schema: string | undefined = noSchema;
  #limitMs = 0;
  #uses = 0;
  #preparedMade = 0;
  readonly #prepares: boolean;
  /** Process id of the server's process that answers. */
  #backend = 0;
  readonly #riders = new Set<string>();
  readonly #trailers = new Set<string>();
  /** By what they stand for: schema, then text. */
  readonly #prepared = new Map<string, Map<string, PreparedStatement>>();
  #preparedCount = 0;

  /** @throws {HoldfastError} HOLDFAST_UNAVAILABLE or HOLDFAST_OVERLOADED, both not applied */
  static async connect(endpoint: PostgresEndpoint, options: SessionOptions): Promise<PgSession> {
    const session = new PgSession(endpoint, options);
    try {
      await session.#client.connect();
      // Behind the driver's own listener, which notes the transaction's status.
      session.#client.connection.on("readyForQuery", () => session.#ready());
      session.#facts = await session.#learnFacts(options.connectTimeoutMs);
      if (endpoint.pooler) {
        session.#backend = await claimBackend(session, session.#facts.system, session.#backend, options);
        await session.#client.query(pooledSettings);
      } else {
        session.#refusePooler();
      }
      return session;
    } catch (error) {
      session.destroy();
      throw connectError(
        refusedByPooler(error) ? poolerError(options.where, "undeclared") : error,
        options.where,
      );
    }
  }

  private constructor(endpoint: PostgresEndpoint, options: SessionOptions) {
    this.where = options.where;
    this.endpoint = endpoint;
    this.#prepares = options.prepare ?? true;
    const { host, port, database, user, password } = endpoint;
    this.#client = new pg.Client({
      host,
      port,
      database,
      user,
      password,
      types: rowTypes,
      pipeline: true,
      keepAlive: true,
      application_name: options.applicationName,
      connectionTimeoutMillis: options.connectTimeoutMs,
      // A pooler takes neither at the start of a connection.
      ...(endpoint.pooler
        ? {}
        : {
            idle_in_transaction_session_timeout: idleInTransactionMs,
            options: "-c default_transaction_read_only=on",
          }),
    }) as pg.Client & DriverSocket;
    const end = () => {
      if (this.#ended) return;
      this.#ended = true;
      this.#ready();
      this.#ownEnd?.();
      this.onEnd?.();
    };
    // An error between two statements (the server went away) has nobody waiting for it: the end says it all.
    this.#client.on("error", end);
    this.#client.on("end", end);
    this.#client.on("notice", (notice) => this.onNotice?.({ code: notice.code, routine: notice.routine }));
  }

  get facts(): ServerFacts {
    if (!this.#facts) throw new Error("a session's facts are known once it is connected");
    return this.#facts;
  }

  /** Whether the server and the socket are there and nothing is under way: fit for the next holder. */
  get reusable(): boolean {
    return !this.#ended && !this.#tainted && this.#inFlight === 0 && this.transactionStatus === "I";
  }

  /** Whether it can be sent statements. */
  get sound(): boolean {
    return !this.#ended && !this.#tainted;
  }

  /** Statements that were sent and not answered yet. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Bytes that came from the server so far: while they grow it is there, and at work for this session. */
  get bytesHeard(): number {
    return this.#client.connection.stream.bytesRead;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Of the server's process behind it, as `pg_stat_activity` has it. */
  get serverPid(): number | undefined {
    return this.#client.processID ?? undefined;
  }

  /** `I` outside a transaction, `T` in one, `E` in one that failed; as of the last answer. */
  get transactionStatus(): string {
    return String(this.#client.getTransactionStatus() ?? "I");
  }

  /** The schema that unqualified names mean now; `noSchema` for none, `undefined` when it is not known. */
  get schema(): string | undefined {
    return this.#schema;
  }

  /**
   * Sends a statement now and resolves with its answer.
   *
   * @throws {HoldfastError} as `statementError` says
   */
  async send<Row = Record<string, unknown>>(statement: Statement): Promise<SqlResult<Row>> {
    if (this.#ended) throw connectionLostError(new Error("it had ended"), this.where);
    this.#cork();
    this.#inFlight++;
    try {
      return await this.#query<Row>(statement);
    } catch (error) {
      if (isServerError(error) && (endsSession(error) || outdatesSession(error))) this.taint();
      throw statementError(error, this.where);
    } finally {
      this.#inFlight--;
      if (this.#inFlight === 0) for (const tell of this.#whenAnswered.splice(0)) tell();
    }
  }

  /** Calls `tell` when the session has ended; one may be told. */
  onceEnded(tell: () => void): void {
    if (this.#ended) tell();
    else this.#ownEnd = tell;
  }

  /** Calls `tell` once nothing is under way any more, answered or broken off. */
  onceAnswered(tell: () => void): void {
    if (this.#inFlight === 0) tell();
    else this.#whenAnswered.push(tell);
  }

  /**
   * An error is passed on only when the server is ready again, because not before is it known whether it left a
   * transaction behind, and whoever gets the error may give the session back at once.
   */
  #query<Row>(statement: Statement): Promise<SqlResult<Row>> {
    const { text, values, prepare } = statement;
    return new Promise((resolve, reject) => {
      const answer = (error: Error | null, result: unknown) => {
        if (!error) resolve(result as SqlResult<Row>);
        else if (isServerError(error) && !this.#ended) this.#onReady = () => reject(error);
        else reject(error);
      };
      // The extended protocol takes one command: "select 1; commit" is refused by the server.
      if (values || prepare) this.#client.query(this.#extended(statement, answer));
      else this.#client.query(new SimpleQuery(text, answer));
    });
  }

  #extended(
    { text, values, prepare, placed, trailer }: Statement,
    answer: (error: Error | null, result: ExtendedResult) => void,
  ): ExtendedQuery {
    const schema = placed ? `${placed.schema}.` : (this.#schema ?? "");
    const prepared = prepare && this.#prepares ? this.#preparedFor(schema, placed?.key ?? text) : undefined;
    const request = {
      text,
      values: values ?? noValues,
      prepared,
      trailer,
      trailers: this.#prepares ? this.#trailers : undefined,
    };
    return new ExtendedQuery(request, answer);
  }

  /** The server is ready for the next statement, or will never be. */
  #ready(): void {
    const onReady = this.#onReady;
    this.#onReady = undefined;
    onReady?.();
  }

  /** Sends a statement whose failure shows in what is sent behind it. */
  push(statement: Statement): Promise<SqlResult<unknown>> {
    const answer = this.send(statement);
    answer.catch(() => {});
    return answer;
  }

  /**
   * Makes unqualified names mean `schema` (`noSchema` for none): sent ahead of the next statement, if that is not
   * so already.
   *
   * @returns the answer, to be awaited before anything is believed or committed: had it failed, the statements
   * behind it would have gone to another shard. `undefined` when nothing had to be sent.
   */
  useSchema(schema: string): Promise<unknown> | undefined {
    if (this.#schema === schema) return undefined;
    this.#schema = schema;
    const path = schema === noSchema ? "public" : searchPath(schema);
    const answer = this.push({ text: `set search_path to ${path}` });
    answer.catch(() => this.taint());
    return answer;
  }

  /**
   * Begins a read-write transaction in `schema`, in one message: each message more costs the server a packet and this
   * process a wake-up.
   *
   * @param settings further SQL of the framework's own, such as `set local …`
   * @param isolation default: the server's default, READ COMMITTED
   * @returns the answer, to be awaited before COMMIT is sent; after a failure or a rollback, `forgetSchema`
   */
  begin(schema: string, settings?: string, isolation?: Isolation): Promise<unknown> {
    let text = `${beginSql(isolation)} read write`;
    if (this.#schema !== schema) text = `set search_path to ${searchPath(schema)}; ${text}`;
    this.#schema = schema;
    if (settings !== undefined) text += `; ${settings}`;
    if (!this.endpoint.pooler) return this.push({ text });
    const begun = this.push({ text: `${text}; ${onBackendSql(this.#backend)}` }).catch((error: unknown) => {
      if (!isOnOtherBackend(error)) throw error;
      this.taint();
      throw poolerError(this.where, "shared");
    });
    begun.catch(() => {});
    return begun;
  }

  /** SQL that runs `rider`, which this session prepares once per schema; to be sent as part of a message. */
  riderSql(rider: Rider): string {
    const name = `${rider.name}_${this.#schema}`;
    if (!this.#prepares)
      return `prepare ${name} as ${rider.text}; execute ${name}(${rider.values}); deallocate ${name}`;
    const execute = `execute ${name}(${rider.values})`;
    if (this.#riders.has(name)) return execute;
    // Prepared statements are no part of the transaction: this one stays, whatever becomes of it.
    this.#riders.add(name);
    return `prepare ${name} as ${rider.text}; ${execute}`;
  }

  /** After a message with `riderSql` failed: nobody knows whether PREPARE was reached. */
  forgetRiders(): void {
    this.#riders.clear();
    this.taint();
  }

  /** A rollback takes the schema back that was set with BEGIN: it is set anew before the next statement. */
  forgetSchema(): void {
    this.#schema = undefined;
  }

  /**
   * Has the server stop any statement that runs much longer than `remainingMs`, in case this process cannot
   * ask for it. Rounded up to a power of two seconds, so that it is rarely set again.
   *
   * @param remainingMs `Infinity` for no limit
   */
  limitStatements(remainingMs: number): void {
    const limitMs = Number.isFinite(remainingMs)
      ? 1000 * 2 ** Math.max(0, Math.ceil(Math.log2(Math.max(1, remainingMs / 1000))))
      : 0;
    // A limit of 24 days and more does not fit into the setting, and means none.
    const settingMs = limitMs > 2 ** 31 - 1 ? 0 : limitMs;
    if (this.#limitMs === settingMs) return;
    this.#limitMs = settingMs;
    this.push({ text: `set statement_timeout to ${settingMs}` }).catch(() => this.taint());
  }

  /** Not to be given to another holder: it may carry settings, locks or a cancel request of this one. */
  taint(): void {
    this.#tainted = true;
  }

  /** Says goodbye and closes; statements under way are answered first. */
  async close(): Promise<void> {
    this.#tainted = true;
    await this.#client.end().catch(() => {});
  }

  /**
   * Closes the socket at once. The server rolls back what was not committed as soon as it notices.
   *
   * @param reason what the statements under way fail with; default: that the connection broke
   */
  destroy(reason?: HoldfastError): void {
    this.#tainted = true;
    this.#client.connection.stream.destroy(reason);
  }

  /**
   * Stops what the server is doing for this session, and closes. A cancel request may reach the server at any
   * later moment, so the session is never used again. Must not be called once COMMIT was sent: a COMMIT that
   * waits for a standby would be cut short, and answer as if it had succeeded.
   */
  cancelAndDestroy(reason?: HoldfastError): void {
    const { processID, secretKey } = this.#client;
    if (!this.#ended && this.#inFlight > 0 && processID !== null && secretKey !== null) {
      requestCancel(this.endpoint, processID, secretKey);
    }
    this.destroy(reason);
  }

  async #learnFacts(answerMsMax: number): Promise<ServerFacts> {
    const asked = { text: factsSql, query_timeout: answerMsMax };
    const { rows } = await this.#client.query<{
      standby: boolean;
      system: string;
      timeline: number;
      segment: string;
      wall: number;
      started: string;
      backend: number;
    }>(asked);
    const row = rows[0];
    if (!row) throw new Error("the server said nothing about itself");
    this.#backend = row.backend;
    return {
      standby: row.standby,
      system: row.system,
      timeline: row.timeline,
      walSegmentBytes: BigInt(row.segment),
      wallMs: row.wall,
      startedAt: row.started,
    };
  }

  /** The process that answers is not the one that was announced: something stands between. */
  #refusePooler(): void {
    const { processID } = this.#client;
    if (processID !== this.#backend) throw poolerError(this.where, "undeclared");
  }

  /** Holds the packets of this turn back until the turn's promise callbacks have run, then sends them as one. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    const { stream } = this.#client.connection;
    stream.cork();
    process.nextTick(() => {
      this.#corked = false;
      stream.uncork();
    });
  }

  /**
   * The prepared statement for `text` in `schema`. One per schema, because a plan that was made for another schema is
   * analysed anew, and fails where a type has another identity there.
   *
   * @returns `undefined` when it is better not prepared: there are as many as may be, and all are in use
   */
  #preparedFor(schema: string, text: string): PreparedStatement | undefined {
    const usedAt = ++this.#uses;
    let ofSchema = this.#prepared.get(schema);
    const known = ofSchema?.get(text);
    if (known) {
      known.usedAt = usedAt;
      return known;
    }
    if (this.#preparedCount >= preparedMax) {
      const oldest = this.#oldestPrepared();
      // A working set that does not fit would only drive itself out, statement by statement.
      if (usedAt - oldest.statement.usedAt < 2 * preparedMax) return undefined;
      this.#forget(oldest);
    }
    if (!ofSchema) {
      ofSchema = new Map();
      this.#prepared.set(schema, ofSchema);
    }
    const statement = { name: `h${++this.#preparedMade}`, usedAt, columns: undefined };
    ofSchema.set(text, statement);
    this.#preparedCount++;
    return statement;
  }

  /** Looked for only when one has to go: that is cheaper than an order kept at each use. */
  #oldestPrepared(): KnownStatement {
    let oldest: KnownStatement | undefined;
    for (const [schema, ofSchema] of this.#prepared) {
      for (const [text, statement] of ofSchema) {
        if (!oldest || statement.usedAt < oldest.statement.usedAt) oldest = { schema, text, statement };
      }
    }
    return oldest as KnownStatement;
  }

  #forget({ schema, text, statement }: KnownStatement): void {
    const ofSchema = this.#prepared.get(schema);
    ofSchema?.delete(text);
    if (ofSchema?.size === 0) this.#prepared.delete(schema);
    this.#preparedCount--;
    // In a failed transaction the server refuses to; the plan then stays there until the session ends.
    this.push({ text: `deallocate ${statement.name}` });
    delete this.#client.connection.parsedStatements[statement.name];
  }
}

interface KnownStatement {
  readonly schema: string;
  readonly text: string;
  readonly statement: PreparedStatement;
}

/** Never a caller's text: only the levels that are known have one. */
export function beginSql(isolation: Isolation | undefined): string {
  if (isolation === undefined || isolation === "read-committed") return "begin";
  return `begin isolation level ${isolation === "serializable" ? "serializable" : "repeatable read"}`;
}

/** @see PostgreSQL protocol, "Canceling Requests in Progress": 16 bytes on a connection of their own */
function requestCancel(endpoint: PostgresEndpoint, processId: number, secretKey: number): void {
  const request = Buffer.alloc(16);
  request.writeInt32BE(16, 0);
  request.writeInt32BE(80877102, 4);
  request.writeInt32BE(processId, 8);
  request.writeInt32BE(secretKey, 12);
  const socket = endpoint.host.startsWith("/")
    ? net.connect(`${endpoint.host}/.s.PGSQL.${endpoint.port}`)
    : net.connect(endpoint.port, endpoint.host);
  socket.on("error", () => socket.destroy()); // the server is gone, and with it what was to be cancelled
  socket.end(request);
  socket.unref();
}
