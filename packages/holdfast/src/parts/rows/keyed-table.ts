/**
 * A table with a text key in a database part: which shard a key belongs to, and where a statement about it runs: in a
 * read or write of its own, or in one of the caller's.
 */
import type { Kysely } from "kysely";
import { HoldfastError, refuseProblems } from "../../call/index.ts";
import type { AnyDatabase, ReadOptions, Shard, ShardKey } from "../database/index.ts";
import { openedOn } from "../database/opened-on.ts";
import type { AnyTables } from "../database/port.ts";
import { refuseInput } from "./input-error.ts";
import { nameProblems } from "./names.ts";

/** A read of the caller's (`sql`), or a write (`tx`). */
export type Statements = Kysely<AnyTables>;

/** The level of a read, as everywhere; or the read or write of the caller's that it belongs to. */
export interface ReadHow extends ReadOptions {
  readonly in?: Statements;
}

export interface WriteHow {
  /** The transaction it belongs to: it commits with it, or not at all. Default: one of its own. */
  readonly in?: Statements;
}

export interface KeyedTableOptions {
  /** From a key to what decides its shard, where that is another value. Default: the key itself. */
  readonly at?: (key: string) => ShardKey;
}

/** Longer keys do not fit into an index page with their neighbours. */
export const keyBytesMax = 1_024;
/** More at once is a search, and belongs into pages. */
const keysMax = 10_000;

export class KeyedTable {
  readonly database: AnyDatabase;
  readonly table: string;
  /** For messages, such as `documents "profile"`. */
  readonly what: string;
  readonly #at: (key: string) => ShardKey;

  /** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem, `problems` among them */
  constructor(
    kind: string,
    database: AnyDatabase,
    table: string,
    options: KeyedTableOptions,
    problems: readonly string[] = [],
  ) {
    this.database = database;
    this.table = table;
    this.what = `${kind} ${JSON.stringify(table)}`;
    this.#at = options.at ?? ((key) => key);
    refuseProblems("HOLDFAST_OPTIONS_INVALID", this.what, [
      ...(database?.kind === "database" ? [] : ["the first argument should be a database part"]),
      ...nameProblems("table", table),
      ...(options.at === undefined || typeof options.at === "function" ? [] : ["at should be a function"]),
      ...problems,
    ]);
  }

  async read<T>(key: string, how: ReadHow, run: (sql: Statements) => Promise<T>): Promise<T> {
    const shard = this.#shardOf(key);
    return this.#in(how, shard) ? run(how.in) : shard.read(levelOf(how), run);
  }

  async write<T>(key: string, how: WriteHow, run: (tx: Statements) => Promise<T>): Promise<T> {
    const shard = this.#shardOf(key);
    return this.#in(how, shard) ? run(how.in) : shard.write(run);
  }

  /** One read for each shard that has any of the keys, side by side. Each has its own snapshot. */
  async readMany<T>(
    keys: readonly string[],
    how: ReadHow,
    run: (sql: Statements, keys: readonly string[]) => Promise<readonly T[]>,
  ): Promise<T[]> {
    if (!Array.isArray(keys) || keys.length > keysMax)
      refuseInput(this.what, [
        `keys should be a list of at most ${keysMax}, got ${Array.isArray(keys) ? keys.length : typeof keys}. Ask for them in parts`,
      ]);
    const groups = new Map<number, { readonly shard: Shard<AnyTables>; readonly keys: string[] }>();
    for (const key of new Set(keys)) {
      const shard = this.#shardOf(key);
      const group = groups.get(shard.index) ?? { shard, keys: [] };
      groups.set(shard.index, group);
      group.keys.push(key);
    }
    const answers = await Promise.all(
      [...groups.values()].map((group) =>
        this.#in(how, group.shard)
          ? run(how.in, group.keys)
          : group.shard.read(levelOf(how), (sql) => run(sql, group.keys)),
      ),
    );
    return answers.flat();
  }

  /** All shards side by side, or the one of the caller's read. */
  async readAll<T>(how: ReadHow, run: (sql: Statements) => Promise<readonly T[]>): Promise<T[]> {
    if (how.in) return [...(await run(how.in))];
    const answers = await Promise.all(this.database.shards().map((shard) => shard.read(levelOf(how), run)));
    return answers.flat();
  }

  #shardOf(key: string): Shard<AnyTables> {
    refuseInput(this.what, keyProblems(key));
    return this.database.at(this.#at(key));
  }

  /** Whether `how` names a read or write of the caller's. @throws when that is one of another shard */
  #in<How extends { readonly in?: Statements }>(
    how: How,
    shard: Shard<AnyTables>,
  ): how is How & { readonly in: Statements } {
    if (how.in === undefined) return false;
    const opened = openedOn(how.in);
    if (opened && (opened.database !== this.database || opened.shard !== shard.index)) {
      throw new HoldfastError(
        "HOLDFAST_INPUT_INVALID",
        `${this.what}: the key is on shard ${shard.index} of database "${this.database.name}", but \`in\` is a read or write of shard ${opened.shard} of "${opened.database.name}". Keys that change together need the same shard: give them the same \`at\`.`,
        { data: { shard: shard.index, in: opened.shard } },
      );
    }
    return true;
  }
}

function levelOf({ in: _, ...read }: ReadHow): ReadOptions {
  return read;
}

function keyProblems(key: unknown): string[] {
  if (typeof key !== "string") return [`key should be a string, got ${key === null ? "null" : typeof key}`];
  if (key.length === 0) return ["key should not be empty"];
  const bytes = Buffer.byteLength(key);
  if (bytes > keyBytesMax) return [`key should have at most ${keyBytesMax} bytes, got ${bytes}`];
  if (key.includes("\0") || !key.isWellFormed())
    return ["key should have no NUL character and no half of a surrogate pair"];
  return [];
}
