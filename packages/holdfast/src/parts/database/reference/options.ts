/**
 * Reference tables as they are declared: what every node gets a copy of.
 */
export interface ReferenceOptions {
  /** Folder of `NNN_name.sql` files, run in order on each node, each once, in the schema of the reference tables. */
  readonly migrations: URL;
  /** The tables that the files make, all of them: statements that name one are sent to it without a detour. */
  readonly tables: readonly string[];
  /** Most rows of all the tables together, 1 to 100_000. Default 10_000. Each change of one row looks at all. */
  readonly maxRows?: number;
  /** Most bytes of all the rows as text, 1024 to 64 MiB. Default 4 MiB: what is sent to each node that is behind. */
  readonly maxBytes?: number;
}

export interface ResolvedReference {
  readonly migrations: URL;
  readonly tables: readonly string[];
  readonly maxRows: number;
  readonly maxBytes: number;
}

export const referenceDefaults = { maxRows: 10_000, maxBytes: 4 << 20 } as const;
const tablesMax = 100;

/** @returns what they come to, and what is wrong with them */
export function resolveReference(options: ReferenceOptions): {
  readonly reference: ResolvedReference;
  readonly problems: readonly string[];
} {
  const {
    migrations,
    tables,
    maxRows = referenceDefaults.maxRows,
    maxBytes = referenceDefaults.maxBytes,
  } = options;
  const problems: string[] = [];
  if (!(migrations instanceof URL))
    problems.push('reference.migrations should be a URL, such as new URL("./reference/", import.meta.url)');
  if (!Array.isArray(tables) || tables.length === 0 || tables.length > tablesMax) {
    problems.push(`reference.tables should list the names of 1 to ${tablesMax} tables`);
  } else {
    for (const table of tables) {
      if (typeof table !== "string" || !/^[a-z_][a-z0-9_]{0,62}$/.test(table))
        problems.push(
          `reference.tables has ${JSON.stringify(table)}: use 1 to 63 lowercase letters, digits and underscores`,
        );
      else if (table.startsWith("holdfast_"))
        problems.push(`reference.tables has "${table}": names that begin with holdfast_ are the framework's`);
    }
    if (new Set(tables).size < tables.length) problems.push("reference.tables names a table twice");
  }
  if (!(Number.isInteger(maxRows) && maxRows >= 1 && maxRows <= 100_000))
    problems.push(`reference.maxRows should be a whole number from 1 to 100000, got ${maxRows}`);
  if (!(Number.isInteger(maxBytes) && maxBytes >= 1024 && maxBytes <= 64 << 20))
    problems.push(`reference.maxBytes should be a whole number from 1024 to ${64 << 20}, got ${maxBytes}`);
  return { reference: Object.freeze({ migrations, tables, maxRows, maxBytes }), problems };
}
