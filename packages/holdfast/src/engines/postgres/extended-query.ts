/**
 * One execution of a statement by the extended protocol, as the driver's queue takes it.
 *
 * Everything of it leaves as one buffer. The columns of a prepared statement are described once and remembered, so
 * that each further use is Bind, Execute and Sync: the server does not describe, and this process does not parse,
 * what both know. The server refuses a prepared statement whose columns have changed (0A000), so what is remembered
 * cannot be wrong.
 *
 * A trailer is a second statement between the first's Execute and the Sync: it sees a later snapshot, and costs
 * neither a message of its own nor an answer that the server is ready.
 *
 * @see PostgreSQL protocol, "Extended Query"
 */
import utils from "pg/lib/utils.js";
import { serialize } from "pg-protocol";
import { HoldfastError } from "../../call/index.ts";
import {
  type Columns,
  columnsOf,
  commandOf,
  noColumns,
  parseRow,
  type RowDescription,
  takenForDriversOwn,
} from "./query-answer.ts";

/** What a session knows of a statement that it prepared. */
export interface PreparedStatement {
  readonly name: string;
  /** Number of the use, of all of the session's, that was its last. */
  usedAt: number;
  columns: Columns | undefined;
}

/** A statement of the framework's own without parameters; always prepared. Its row is answered as the server wrote it. */
export interface Trailer {
  readonly name: string;
  readonly text: string;
}

export interface ExtendedResult {
  readonly rows: Record<string, unknown>[];
  readonly rowCount: number | null;
  /** First word of the command tag. */
  readonly command: string;
  readonly trail: TrailRow | undefined;
}

export type TrailRow = readonly (string | null)[];

/** The driver's connection, as far as it is used. */
interface Connection {
  readonly parsedStatements: Record<string, string | undefined>;
  readonly submittedNamedStatements: Record<string, string | undefined>;
  readonly stream: { write(bytes: Buffer): boolean };
  sendCopyFail(message: string): void;
}

export interface ExtendedRequest {
  readonly text: string;
  readonly values: readonly unknown[];
  /** Absent: the statement is parsed for this use alone. */
  readonly prepared: PreparedStatement | undefined;
  readonly trailer: Trailer | undefined;
  /** Trailers that the session has prepared; one that is new is added. `undefined`: it prepares nothing. */
  readonly trailers: Set<string> | undefined;
}

/**
 * Bounds of one statement. The protocol counts parameters in 16 bits; a larger message would starve its neighbours. A
 * value of 64 MiB fits, with what goes beside it.
 */
export const statementLimits = { parameters: 65_535, bytes: 65 << 20 } as const;

const executeAndSync = Buffer.concat([serialize.execute(), serialize.sync()]);
const describe = serialize.describe({ type: "P" });
const execute = serialize.execute();

/** Implements what `pg.Client` asks of a query. */
export class ExtendedQuery {
  // The driver reads these two, to know what has been parsed.
  readonly name: string | undefined;
  readonly text: string;
  readonly callback: (error: Error | null, result: ExtendedResult) => void;
  readonly #request: ExtendedRequest;
  readonly #rows: Record<string, unknown>[] = [];
  #columns: Columns | undefined;
  #tag: string | undefined;
  #trail: TrailRow | undefined;
  #failure: Error | undefined;

  constructor(request: ExtendedRequest, callback: (error: Error | null, result: ExtendedResult) => void) {
    this.name = request.prepared?.name;
    this.text = request.text;
    this.callback = callback;
    this.#request = request;
  }

  /** @returns what is wrong with the values: then nothing was sent */
  submit(connection: Connection): Error | null {
    const { prepared, values, trailer, trailers } = this.#request;
    const { name, text } = this;
    const parts: Buffer[] = [];
    let bind: Buffer;
    if (values.length > statementLimits.parameters) return tooManyError(values.length);
    try {
      const bound = { values: values as unknown[], valueMapper: utils.prepareValue };
      bind = serialize.bind(name === undefined ? bound : { ...bound, statement: name });
    } catch (error) {
      return error as Error;
    }
    if (bind.length > statementLimits.bytes) return tooLargeError(bind.length);
    // First, because it cannot fail: whatever comes of the statement, the trailer is there.
    if (trailer && trailers && !trailers.has(trailer.name)) {
      trailers.add(trailer.name);
      parts.push(serialize.parse({ name: trailer.name, text: trailer.text, types: [] }));
    }
    if (name === undefined) parts.push(serialize.parse({ text, types: [] }));
    else if (
      connection.parsedStatements[name] === undefined &&
      connection.submittedNamedStatements[name] === undefined
    ) {
      connection.submittedNamedStatements[name] = text;
      parts.push(serialize.parse({ name, text, types: [] }));
    }
    parts.push(bind);
    this.#columns = prepared?.columns;
    if (this.#columns === undefined) parts.push(describe);
    if (trailer && trailers) parts.push(execute, serialize.bind({ statement: trailer.name }));
    else if (trailer)
      parts.push(execute, serialize.parse({ text: trailer.text, types: [] }), serialize.bind());
    parts.push(executeAndSync);
    connection.stream.write(Buffer.concat(parts));
    return null;
  }

  handleRowDescription({ fields }: RowDescription): void {
    this.#describe(columnsOf(fields));
  }

  handleDataRow({ fields }: { readonly fields: TrailRow }): void {
    if (this.#tag !== undefined) {
      this.#trail = fields;
      return;
    }
    if (this.#failure) return;
    try {
      this.#rows.push(parseRow(this.#columns ?? noColumns, fields));
    } catch (error) {
      this.#failure = error as Error;
    }
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    if (this.#tag !== undefined) return; // the trailer's
    this.#tag = text;
    if (this.#columns === undefined) this.#describe(noColumns);
  }

  handleEmptyQuery(): void {
    this.#tag = "";
  }

  handleError(error: Error): void {
    this.callback(this.#failure ?? error, noResult);
  }

  handleReadyForQuery(): void {
    if (this.#failure) {
      this.handleError(this.#failure);
      return;
    }
    this.callback(null, { rows: this.#rows, ...commandOf(this.#tag ?? ""), trail: this.#trail });
  }

  handlePortalSuspended(): void {} // never: all rows are asked for

  handleCopyInResponse(connection: Connection): void {
    connection.sendCopyFail("No source stream defined");
  }

  handleCopyData(): void {}

  #describe(columns: Columns): void {
    this.#columns = columns;
    const { prepared } = this.#request;
    if (prepared) prepared.columns = columns;
  }
}

takenForDriversOwn(ExtendedQuery);

function tooManyError(count: number): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `A statement has ${count} parameters; ${statementLimits.parameters} is the most, and nothing of it was sent. Write fewer rows at a time, or give whole columns as arrays (\`unnest\`).`,
    { data: { parameters: count, parametersMax: statementLimits.parameters } },
  );
}

function tooLargeError(bytes: number): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `The parameters of a statement have ${bytes} bytes; ${statementLimits.bytes} is the most, and nothing of it was sent. Write less at a time; files belong into a bucket, and their names into rows.`,
    { data: { bytes, bytesMax: statementLimits.bytes } },
  );
}

const noResult: ExtendedResult = { rows: [], rowCount: null, command: "", trail: undefined };
