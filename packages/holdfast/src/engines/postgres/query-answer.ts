/**
 * What the server answers to a query, read once for all kinds of them: columns, rows and command tags.
 */
import pg from "pg";

export interface Columns {
  readonly names: readonly string[];
  readonly parsers: readonly ((text: string) => unknown)[];
  /** Copied for each row, so that a column called `__proto__` is a column. */
  readonly empty: Record<string, unknown>;
}

export interface RowDescription {
  readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[];
}

/** `date` has no time zone: it stays the string it is, where the driver would make it local midnight. */
const dateOid = 1082;

export const rowTypes = {
  getTypeParser: (oid: number, format?: "text" | "binary") =>
    oid === dateOid ? (text: string) => text : pg.types.getTypeParser(oid, format as "text"),
};

export const noColumns: Columns = { names: [], parsers: [], empty: {} };

export function columnsOf(fields: RowDescription["fields"]): Columns {
  const names = fields.map((field) => field.name);
  const empty = Object.create(null) as Record<string, unknown>;
  for (const name of names) empty[name] = null;
  return {
    names,
    parsers: fields.map(({ dataTypeID }) => rowTypes.getTypeParser(dataTypeID, "text")),
    empty: { ...empty },
  };
}

export function parseRow(
  { names, parsers, empty }: Columns,
  fields: readonly (string | null)[],
): Record<string, unknown> {
  const row = { ...empty };
  for (let i = 0; i < fields.length; i++) {
    const text = fields[i];
    if (text !== null && text !== undefined)
      row[names[i] as string] = (parsers[i] as (text: string) => unknown)(text);
  }
  return row;
}

/** The first word of a command tag, and the number of rows at its end: `INSERT 0 1`, `SELECT 5`, `CREATE TABLE`. */
export function commandOf(tag: string): { readonly command: string; readonly rowCount: number | null } {
  const space = tag.indexOf(" ");
  if (space === -1) return { command: tag, rowCount: null };
  const count = Number(tag.slice(tag.lastIndexOf(" ") + 1));
  return { command: tag.slice(0, space), rowCount: Number.isNaN(count) ? null : count };
}

/**
 * Has `pg.Client` take instances of `query` for its own queries.
 *
 * A pipelining driver takes no others, because one that keeps a portal open would get its neighbours' rows. Ours keep
 * none: everything they ask for ends with its own Sync. The driver's constructor, which copies its argument field by
 * field, is what they do without.
 */
export function takenForDriversOwn(query: { readonly prototype: object }): void {
  Object.setPrototypeOf(query.prototype, pg.Query.prototype);
}
