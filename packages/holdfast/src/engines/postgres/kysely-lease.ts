/**
 * Kysely over one leased session, for as long as the lease lasts.
 *
 * Each read and write gets a query builder of its own, so that one that is kept and used later is refused
 * instead of running in somebody else's transaction. Making one costs about a microsecond: compiler and adapter
 * are shared.
 */
import {
  type CompiledQuery,
  type DatabaseConnection,
  DefaultQueryExecutor,
  type Dialect,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
  Transaction,
} from "kysely";
import { HoldfastError } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { AnyTables } from "../../parts/database/port.ts";
import { noteTransaction } from "../../parts/outbox/index.ts";
import type { Trailer, TrailRow } from "./extended-query.ts";
import type { QualifiedStatements } from "./kysely-qualify.ts";
import type { KnownUse, StatementUse } from "./kysely-statement-use.ts";
import type { PlacedTransaction } from "./outbox/transaction-outbox.ts";
import { noSchema, type PgSession, type SqlResult } from "./session.ts";

export interface KyselyLease {
  /** For a read. */
  readonly sql: Kysely<AnyTables>;
  /** For a write: the same connection, typed as a transaction. */
  readonly tx: Transaction<AnyTables>;
  /** Why the transaction is doomed, also when the user's code caught it: the last failure, unless a savepoint undid it. */
  readonly failure: HoldfastError | undefined;
  /** To be awaited before an answer is believed: had it failed, statements would have gone to another shard. */
  readonly placed: Promise<unknown> | undefined;
  /** Whether a statement has told anything of what is stored: all but a plain INSERT do. */
  readonly hasRead: boolean;
  /** What the newest `trailer` answered. */
  readonly trail: TrailRow | undefined;
  /** From now on every use is refused with HOLDFAST_TX_ENDED. */
  end(): void;
}

/**
 * Whether `error` is what the user's code threw of its own accord, also in answer to a refused statement.
 *
 * @param failure that of a statement, if one failed; had the server not been there, nothing else made it fail
 */
export function isOwnAnswer(error: unknown, failure: HoldfastError | undefined): boolean {
  return error !== failure && (failure === undefined || failure.permanent);
}

/** How statements find their shard. Those of a write of one shard need none of it: BEGIN sets the search path. */
export type Placing = ReadPlacing | PathPlacing;

/** The search path is set anew ahead of each statement: other shards' share the session meanwhile. */
export interface PathPlacing {
  readonly schema: string;
  readonly statements?: undefined;
}

export interface ReadPlacing {
  readonly schema: string;
  readonly statements: QualifiedStatements;
  readonly clock: Clock;
  /** Called before each statement, to limit how long the server works on it. */
  limit(session: PgSession): void;
  /** Called once, when a statement does not belong on a session that others use as well. */
  own(): Promise<PgSession>;
}

/**
 * @param trailer asked with each statement, for facts that have to be newer than its answer
 * @param told gets the text of each statement, before it is sent
 * @param opened of a write: what can be published in it
 */
export function leaseKysely(
  session: PgSession,
  uses: StatementUse,
  placing?: Placing,
  trailer?: Trailer,
  told?: (text: string) => void,
  opened?: PlacedTransaction,
): KyselyLease {
  const connection = new LeasedConnection(session, uses, placing, trailer, told, opened);
  const executor = new DefaultQueryExecutor(compiler, adapter, {
    provideConnection: (consumer) => consumer(connection),
  });
  const props = { config, driver: refusingDriver, executor, dialect };
  return {
    get sql() {
      return new Kysely<AnyTables>(props);
    },
    get tx() {
      return new Transaction<AnyTables>(props);
    },
    get failure() {
      return connection.failure;
    },
    get placed() {
      return connection.placed;
    },
    get hasRead() {
      return connection.hasRead;
    },
    get trail() {
      return connection.trail;
    },
    end: () => {
      connection.ended = true;
      opened?.end();
    },
  };
}

class LeasedConnection implements DatabaseConnection {
  ended = false;
  hasRead = false;
  failure: HoldfastError | undefined;
  placed: Promise<unknown> | undefined;
  trail: TrailRow | undefined;
  #session: PgSession;
  /** Whether others use the session as well. */
  #shared: boolean;
  #moving: Promise<PgSession> | undefined;
  readonly #uses: StatementUse;
  readonly #placing: Placing | undefined;
  readonly #trailer: Trailer | undefined;
  readonly #told: ((text: string) => void) | undefined;
  readonly #opened: PlacedTransaction | undefined;

  constructor(
    session: PgSession,
    uses: StatementUse,
    placing: Placing | undefined,
    trailer: Trailer | undefined,
    told: ((text: string) => void) | undefined,
    opened: PlacedTransaction | undefined,
  ) {
    this.#session = session;
    this.#shared = placing?.statements !== undefined;
    this.#uses = uses;
    this.#placing = placing;
    this.#trailer = trailer;
    this.#told = told;
    this.#opened = opened;
    if (opened) noteTransaction(this, opened);
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    if (this.ended) throw endedError();
    this.#told?.(query.sql);
    const raw = query.query.kind === "RawNode";
    if (raw) this.#inspect(query.sql);
    try {
      const answered = await this.#place<Row>(query, this.#uses.use(query.sql));
      this.trail = answered.trail ?? this.trail;
      if (answered.command !== "INSERT" || answered.rows.length > 0) this.hasRead = true;
      const result = queryResult(answered);
      if (raw) this.#opened?.statement(query.sql);
      if (raw && this.failure && toSavepoint.test(query.sql)) this.failure = undefined;
      return result;
    } catch (error) {
      const failure = error as HoldfastError;
      // "The transaction is aborted" is no reason, only its echo.
      if (failure.data.sqlstate !== "25P02") this.failure = failure;
      throw this.failure ?? failure;
    }
  }

  // biome-ignore lint/correctness/useYield: it refuses before there is anything to yield
  async *streamQuery<Row>(): AsyncIterableIterator<QueryResult<Row>> {
    throw new HoldfastError(
      "HOLDFAST_INPUT_INVALID",
      "Streaming results is not supported on pipelined connections. Page through them with `where key > last` and `limit`.",
    );
  }

  /** Sends the statement so that it means its own shard, with as little as that takes. */
  async #place<Row>(query: CompiledQuery, use: KnownUse | undefined): Promise<SqlResult<Row>> {
    const placing = this.#placing;
    if (!placing) return this.#send(query, query.sql, use);
    if (!placing.statements) {
      this.#session.forgetSchema();
      return this.#sendAlongPath(query, use, placing);
    }
    const qualified = placing.statements.textFor(query, placing.schema);
    if (this.#shared && (this.#moving || !use?.quick || qualified === undefined))
      await this.#moveToOwn(placing);
    placing.limit(this.#session);
    if (qualified === undefined) return this.#sendAlongPath(query, use, placing);
    // The body of a function behind a view looks along the path: it may find nothing there, but never another shard.
    if (this.#session.schema !== (this.#shared ? noSchema : placing.schema)) this.#useSchema(noSchema);
    try {
      return await this.#timed<Row>(query, placing, this.#send(query, qualified, use, placing.schema));
    } catch (error) {
      if (this.ended || !isNotFound(error as HoldfastError)) throw error;
      if (this.#shared) await this.#moveToOwn(placing);
      placing.limit(this.#session);
      const result = await this.#sendAlongPath<Row>(query, use, placing);
      placing.statements.needsPath(query);
      return result;
    }
  }

  async #moveToOwn(placing: ReadPlacing): Promise<void> {
    this.#moving ??= placing.own();
    this.#session = await this.#moving;
    this.#shared = false;
    if (this.ended) throw endedError();
  }

  #sendAlongPath<Row>(
    query: CompiledQuery,
    use: KnownUse | undefined,
    { schema }: Placing,
  ): Promise<SqlResult<Row>> {
    this.#useSchema(schema);
    return this.#send(query, query.sql, use);
  }

  async #timed<Row>(
    { sql }: CompiledQuery,
    { clock }: ReadPlacing,
    answer: Promise<SqlResult<Row>>,
  ): Promise<SqlResult<Row>> {
    const sentMs = clock.monotonicMs();
    const result = await answer;
    this.#uses.answered(sql, clock.monotonicMs() - sentMs);
    return result;
  }

  #send<Row>(
    query: CompiledQuery,
    text: string,
    use: KnownUse | undefined,
    schema?: string,
  ): Promise<SqlResult<Row>> {
    return this.#session.send<Row>({
      text,
      values: query.parameters,
      prepare: use !== undefined,
      ...(schema === undefined ? {} : { placed: { schema, key: query.sql } }),
      trailer: this.#trailer,
    });
  }

  #useSchema(schema: string): void {
    this.placed = this.#session.useSchema(schema) ?? this.placed;
  }

  #inspect(text: string): void {
    if (transactionControl.test(text)) throw controlError();
    if (sessionChange.test(text)) this.#session.taint();
  }
}

/** Undefined table, function or object (SQLSTATE): the search path may find it. */
function isNotFound(error: HoldfastError): boolean {
  const { sqlstate } = error.data;
  return sqlstate === "42P01" || sqlstate === "42883" || sqlstate === "42704";
}

// Behind comments, too. `rollback to` a savepoint is the user's own business.
const transactionControl =
  /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*(?:begin|start\s+transaction|commit|end|abort|prepare\s+transaction|rollback(?!\s+(?:work\s+|transaction\s+)?to\b))\b/i;

const toSavepoint = /^\s*rollback\b/i;

/** What outlives the transaction: the session is then not given to anybody else. */
const sessionChange =
  /^\s*(?:set\s+(?!local\b|transaction\b|constraints\b)|reset\b|discard\b|listen\b|load\b|prepare\b|deallocate\b|declare\b)|\b(?:set_config|pg_(?:try_)?advisory_lock(?:_shared)?)\s*\(/i;

function queryResult<Row>(result: SqlResult<Row>): QueryResult<Row> {
  const { command, rows, rowCount } = result;
  if (command === "INSERT" || command === "UPDATE" || command === "DELETE" || command === "MERGE") {
    return { rows, numAffectedRows: BigInt(rowCount ?? 0) };
  }
  return { rows };
}

export function endedError(): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_TX_ENDED",
    "This `sql` or `tx` belongs to a read or write that has ended. Await every query inside the function that got it.",
  );
}

function controlError(): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_TX_CONTROL",
    "The framework begins and ends this transaction. To end it, return (commit) or throw (roll back); for a part of it use savepoints.",
  );
}

const refuseControl = async () => {
  throw controlError();
};

const refusingDriver: Driver = {
  init: async () => {},
  acquireConnection: refuseControl,
  beginTransaction: refuseControl,
  commitTransaction: refuseControl,
  rollbackTransaction: refuseControl,
  releaseConnection: async () => {},
  destroy: refuseControl,
};

const adapter = new PostgresAdapter();
// Compiling is synchronous and starts afresh each time, so that one compiler serves all.
const compiler = new PostgresQueryCompiler();
const dialect: Dialect = {
  createDriver: () => refusingDriver,
  createQueryCompiler: () => new PostgresQueryCompiler(),
  createAdapter: () => adapter,
  createIntrospector: (db) => new PostgresIntrospector(db),
};
const config = { dialect };
