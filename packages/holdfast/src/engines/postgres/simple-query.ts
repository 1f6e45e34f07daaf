/**
 * One message of the simple protocol: a statement, or several in one text, as the driver's queue takes it.
 *
 * @see PostgreSQL protocol, "Simple Query"
 */
import {
  type Columns,
  columnsOf,
  commandOf,
  noColumns,
  parseRow,
  type RowDescription,
  takenForDriversOwn,
} from "./query-answer.ts";

export interface SimpleResult {
  readonly rows: Record<string, unknown>[];
  readonly rowCount: number | null;
  /** First word of the command tag. */
  readonly command: string;
}

/** One result, or one for each statement of the text. */
export type SimpleAnswer = SimpleResult | readonly SimpleResult[];

/** Implements what `pg.Client` asks of a query. */
export class SimpleQuery {
  readonly text: string;
  readonly callback: (error: Error | null, answer: SimpleAnswer) => void;
  readonly #results: SimpleResult[] = [];
  #columns: Columns = noColumns;
  #rows: Record<string, unknown>[] = [];
  #failure: Error | undefined;

  constructor(text: string, callback: (error: Error | null, answer: SimpleAnswer) => void) {
    this.text = text;
    this.callback = callback;
  }

  submit(connection: { query(text: string): void }): null {
    connection.query(this.text);
    return null;
  }

  handleRowDescription({ fields }: RowDescription): void {
    this.#columns = columnsOf(fields);
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    if (this.#failure) return;
    try {
      this.#rows.push(parseRow(this.#columns, fields));
    } catch (error) {
      this.#failure = error as Error;
    }
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    this.#results.push({ rows: this.#rows, ...commandOf(text) });
    this.#rows = [];
    this.#columns = noColumns;
  }

  handleEmptyQuery(): void {}

  handleError(error: Error): void {
    this.callback(this.#failure ?? error, nothing);
  }

  handleReadyForQuery(): void {
    if (this.#failure) this.handleError(this.#failure);
    else this.callback(null, this.#results.length > 1 ? this.#results : (this.#results[0] ?? nothing));
  }

  handlePortalSuspended(): void {} // never: all rows are asked for

  handleCopyInResponse(connection: { sendCopyFail(message: string): void }): void {
    connection.sendCopyFail("No source stream defined");
  }

  handleCopyData(): void {}
}

takenForDriversOwn(SimpleQuery);

const nothing: SimpleResult = { rows: [], rowCount: null, command: "" };
