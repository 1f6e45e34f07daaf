/**
 * The directory: which shard each key was assigned to, kept at the database's home node, for ever.
 *
 * An assignment is three steps, each of which may be done again: the key's row in `holdfast.directory`, whose
 * primary key decides between those who assign at the same time; the key in the shard's own table, by which
 * `holds_key` knows it; `ready`. Cut short in between, it is completed by whoever assigns the key next. As nothing
 * is ever changed or removed, an answer stays true and is kept: a process asks once per key.
 */
import { type Kysely, sql, type Transaction } from "kysely";
import { LRUCache } from "lru-cache";
import { HoldfastError } from "../../call/index.ts";
import type { AnyDatabase, ReadLevel } from "../../parts/database/index.ts";
import type { AnyTables, Assignment, AssignOptions } from "../../parts/database/port.ts";
import { shown } from "../../parts/database/sharding/shard-options.ts";
import { type DirectoryStrategy, groupShards, keyHashModulo } from "../../placement/index.ts";

/** How the directory reaches its tables: with the patience, sessions and proofs of any other read or write. */
export interface DirectoryStore {
  readHome<T>(level: ReadLevel, run: (sql: Kysely<AnyTables>) => Promise<T>): Promise<T>;
  writeHome<T>(run: (tx: Transaction<AnyTables>) => Promise<T>): Promise<T>;
  writeShard<T>(shard: number, run: (tx: Transaction<AnyTables>) => Promise<T>): Promise<T>;
}

/** Bytes of keys that a process remembers the shards of, about. */
const rememberedBytes = 16 << 20;

interface Row {
  readonly shard: number;
  readonly ready: boolean;
}

export class Directory {
  readonly #name: string;
  readonly #groups: ReadonlyMap<string, readonly [number, number]>;
  readonly #store: DirectoryStore;
  readonly #known = new LRUCache<string, number>({
    maxSize: rememberedBytes,
    sizeCalculation: (_, key) => 64 + 2 * key.length,
  });

  constructor({ name, options }: AnyDatabase, store: DirectoryStore) {
    this.#name = name;
    this.#groups = groupShards((options.strategy as Partial<DirectoryStrategy>).groups ?? []);
    this.#store = store;
  }

  /** The shard of a key that this process has met. */
  known(key: string): number | undefined {
    return this.#known.get(key);
  }

  /**
   * @throws {HoldfastError} HOLDFAST_KEY_UNASSIGNED, or that the home node cannot be reached: nothing was done
   */
  async locate(key: string): Promise<number> {
    const find = (level: ReadLevel) => this.#store.readHome(level, (db) => findRow(db, key));
    // What a replica has is true for ever; what it has not may only be late.
    let row = await find("eventual");
    if (!row?.ready) row = await find("strong");
    if (!row?.ready) throw this.#unassigned(key);
    this.#known.set(key, row.shard);
    return row.shard;
  }

  /**
   * @throws {HoldfastError} HOLDFAST_INPUT_INVALID, HOLDFAST_KEY_ASSIGNED; HOLDFAST_OUTCOME_UNKNOWN when it was begun
   *   and could not be completed
   */
  async assign(key: string, asked: AssignOptions): Promise<Assignment> {
    const wanted = this.#choose(key, asked);
    const row = await this.#store.writeHome((tx) => putRow(tx, key, wanted));
    const { shard } = row;
    if (!row.ready) await this.#complete(key, shard);
    this.#known.set(key, shard);
    const group = this.#groupOf(shard);
    const isAsAsked =
      (asked.shard === undefined || asked.shard === shard) &&
      (asked.group === undefined || asked.group === group);
    if (!isAsAsked) throw this.#elsewhere(key, asked, { shard, group });
    return { shard, group };
  }

  async #complete(key: string, shard: number): Promise<void> {
    try {
      await this.#store.writeShard(shard, (tx) =>
        sql`insert into holdfast_key (key) values (${key}) on conflict (key) do nothing`.execute(tx),
      );
      await this.#store.writeHome((tx) =>
        sql`update holdfast.directory set ready = true where key = ${key} and not ready`.execute(tx),
      );
    } catch (cause) {
      throw new HoldfastError(
        "HOLDFAST_OUTCOME_UNKNOWN",
        `database "${this.#name}": the key ${shown(key)} was written down for shard ${shard}, but the shard could not be told. Assign it again, which completes it.`,
        { data: { database: this.#name, shard }, cause },
      );
    }
  }

  /** The shard that the key gets if it has none. */
  #choose(key: string, { group, shard }: AssignOptions): number {
    const names = [...this.#groups.keys()];
    const count = Math.max(...[...this.#groups.values()].map(([, end]) => end));
    const problems: string[] = [];
    if (group !== undefined && !this.#groups.has(group))
      problems.push(`group should be one of ${names.join(", ")}, got ${shown(group)}`);
    if (shard !== undefined && !(Number.isInteger(shard) && shard >= 0 && shard < count))
      problems.push(`shard should be a whole number from 0 to ${count - 1}, got ${shown(shard)}`);
    if (group === undefined && shard === undefined && names.length > 1)
      problems.push(`group has to be said, because there are several: ${names.join(", ")}`);
    const [first, end] = this.#groups.get(group ?? names[0] ?? "") ?? [0, 1];
    if (
      problems.length === 0 &&
      group !== undefined &&
      shard !== undefined &&
      (shard < first || shard >= end)
    )
      problems.push(`shard of group ${group} should be from ${first} to ${end - 1}, got ${shard}`);
    if (problems.length > 0)
      throw new HoldfastError(
        "HOLDFAST_INPUT_INVALID",
        `database "${this.#name}": ${problems.join("; ")}. Nothing was assigned.`,
        { data: { problems } },
      );
    return shard ?? first + keyHashModulo(key, end - first);
  }

  #groupOf(shard: number): string {
    for (const [name, [first, end]] of this.#groups) if (shard >= first && shard < end) return name;
    throw new RangeError(`shard ${shard} of database "${this.#name}" is in no group`);
  }

  #unassigned(key: string): HoldfastError {
    return new HoldfastError(
      "HOLDFAST_KEY_UNASSIGNED",
      `database "${this.#name}": the key ${shown(key)} is not in its directory. Call \`assign\` once when the key comes into being, or check the key; a call that was cut short is completed by the next.`,
      { data: { database: this.#name } },
    );
  }

  #elsewhere(key: string, asked: AssignOptions, { shard, group }: Assignment): HoldfastError {
    const wanted = [
      ...(asked.group === undefined ? [] : [`group ${asked.group}`]),
      ...(asked.shard === undefined ? [] : [`shard ${asked.shard}`]),
    ].join(", ");
    return new HoldfastError(
      "HOLDFAST_KEY_ASSIGNED",
      `database "${this.#name}": the key ${shown(key)} is on shard ${shard} of group ${group}, not on ${wanted}, and assignments never change. Use it where it is, or assign another key.`,
      { data: { database: this.#name, shard, group } },
    );
  }
}

async function findRow(db: Kysely<AnyTables>, key: string): Promise<Row | undefined> {
  const { rows } = await sql<Row>`select shard, ready from holdfast.directory where key = ${key}`.execute(db);
  return rows[0];
}

/** The row of the key: the one that is there, or the one that is made now. */
async function putRow(tx: Transaction<AnyTables>, key: string, shard: number): Promise<Row> {
  const made = await sql<Row>`insert into holdfast.directory (key, shard) values (${key}, ${shard})
    on conflict (key) do nothing returning shard, ready`.execute(tx);
  const row = made.rows[0] ?? (await findRow(tx, key));
  if (!row) throw new Error("the directory has neither the row that was there nor the one that was made");
  return row;
}
