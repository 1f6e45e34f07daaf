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
import type { AnyTables } from "../../parts/database/port.ts";
import type { QualifiedStatements } from "./kysely-qualify.ts";
import type { StatementUse } from "./kysely-statement-use.ts";
import { noSchema, type PgSession, type SqlResult, type Statement } from "./session.ts";

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
  /** Answer of the newest `trailer`. */
  readonly trail: Promise<SqlResult<unknown>> | undefined;
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

/** How a read's statements find their shard. A write of one shard needs none of it: BEGIN sets the search path. */
export interface Placing {
  readonly schema: string;
  /** Without, the search path is set anew ahead of each statement: others share the session meanwhile. */
  readonly statements: QualifiedStatements | undefined;
}

/** @param trailer sent behind each statement in the same packet, for facts that have to be newer than its answer */
export function leaseKysely(
  session: PgSession,
  uses: StatementUse,
  placing?: Placing,
  trailer?: Statement,
): KyselyLease {
  const connection = new LeasedConnection(session, uses, placing, trailer);
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
    },
  };
}

class LeasedConnection implements DatabaseConnection {
  ended = false;
  hasRead = false;
  failure: HoldfastError | undefined;
  placed: Promise<unknown> | undefined;
  trail: Promise<SqlResult<unknown>> | undefined;
  readonly #session: PgSession;
  readonly #uses: StatementUse;
  readonly #placing: Placing | undefined;
  readonly #trailer: Statement | undefined;

  constructor(
    session: PgSession,
    uses: StatementUse,
    placing: Placing | undefined,
    trailer: Statement | undefined,
  ) {
    this.#session = session;
    this.#uses = uses;
    this.#placing = placing;
    this.#trailer = trailer;
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    if (this.ended) throw endedError();
    const raw = query.query.kind === "RawNode";
    if (raw) this.#inspect(query.sql);
    try {
      const answered = await this.#place<Row>(query);
      if (answered.command !== "INSERT" || answered.rows.length > 0) this.hasRead = true;
      const result = queryResult(answered);
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
  #place<Row>(query: CompiledQuery): Promise<SqlResult<Row>> {
    const placing = this.#placing;
    if (!placing) return this.#send(query, query.sql);
    const { statements } = placing;
    if (!statements) {
      this.#session.forgetSchema();
      return this.#sendAlongPath(query, placing);
    }
    const qualified = statements.textFor(query, placing.schema);
    if (qualified === undefined) return this.#sendAlongPath(query, placing);
    // The body of a function behind a view looks along the path: it may find nothing there, but never another shard.
    if (this.#session.schema !== placing.schema) this.#useSchema(noSchema);
    return this.#send<Row>(query, qualified, true).catch(async (error) => {
      if (this.ended || !isNotFound(error)) throw error;
      const result = await this.#sendAlongPath<Row>(query, placing);
      statements.needsPath(query);
      return result;
    });
  }

  #sendAlongPath<Row>(query: CompiledQuery, { schema }: Placing): Promise<SqlResult<Row>> {
    this.#useSchema(schema);
    return this.#send(query, query.sql);
  }

  #send<Row>(query: CompiledQuery, text: string, placed = false): Promise<SqlResult<Row>> {
    const prepare = this.#uses.isRepeated(query.sql);
    const answer = this.#session.send<Row>({ text, values: query.parameters, prepare, placed });
    if (this.#trailer) this.trail = this.#session.push(this.#trailer);
    return answer;
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

function endedError(): HoldfastError {
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
