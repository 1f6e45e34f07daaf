/**
 * What development is warned of: things that work on a laptop and stop working with more rows or more users. Each is
 * told once, with a stable code and what to do. Values of parameters are in none of them; keys are, clipped.
 */
export const warningCodes = {
  "n-plus-one": "One call ran the same statement many times.",
  "missing-index": "A statement looks for rows by columns that no index serves, so it reads all of them.",
  "full-scan": "A statement reads every row of a table.",
  "hot-key": "One key gets a large share of a database's operations.",
  "hot-shard":
    "One logical shard gets a large share of a database's operations, and no single key explains it.",
} as const;

export type WarningCode = keyof typeof warningCodes;

export interface DevelopmentWarning {
  readonly code: WarningCode;
  /** Name of the database part. */
  readonly database: string;
  /** What was seen, then what to do. One line. */
  readonly message: string;
  /** What it is about: the statement's shape, the key or the shard. With code and database, its identity. */
  readonly about: string;
  /** Facts for programs: count, table, columns, share … */
  readonly data: Readonly<Record<string, unknown>>;
}

export function identityOf({ code, database, about, data }: DevelopmentWarning): string {
  return JSON.stringify([code, database, about, data.table ?? null]);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: taking control characters out is the point.
const unprintable = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** Fit for a line of a terminal: printable, and not endless. */
export function clipped(text: string, charsMax: number): string {
  const printable = text.toWellFormed().replace(unprintable, "�");
  return printable.length <= charsMax ? printable : `${printable.slice(0, charsMax - 1)}…`;
}
