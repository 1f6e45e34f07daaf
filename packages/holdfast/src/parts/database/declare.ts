/**
 * `database`: sharded, replicated SQL.
 *
 * Rows live in logical shards, a fixed number of them; shards live on nodes, and may move. `at(key)` is the
 * one shard that holds the key: everything that must change together belongs to one key's shard.
 */
import type { Kysely, Transaction } from "kysely";
import { currentCall, refuseProblems, type Undone } from "../../call/index.ts";
import { type Bindable, namingProblem } from "../part.ts";
import { boundPort, currentWorld } from "../world.ts";
import type { FullDatabasePort } from "./full-port.ts";
import { type Lookup, lookupHandle } from "./lookup/handle.ts";
import { type LookupOptions, type ResolvedLookups, resolveLookups } from "./lookup/options.ts";
import { type LookupValues, lookupChanges } from "./lookup/values.ts";
import type { AnyTables, EffectGuard, ShardKey, WriteOptions } from "./port.ts";
import {
  type ReadLevel,
  type ReadOptions,
  type ResolvedRead,
  readDefaults,
  readProblems,
} from "./read-options.ts";
import { type Reference, referenceHandle } from "./reference/handle.ts";
import { type ReferenceOptions, type ResolvedReference, resolveReference } from "./reference/options.ts";
import {
  type ReplicationOptions,
  type ResolvedReplication,
  resolveReplication,
} from "./replication-options.ts";

export interface DatabaseOptions {
  /** Folder of `NNN_name.sql` files, run in order on each shard, each once. Default: no migrations. */
  readonly migrations?: URL;
  readonly shards?: {
    /** How a key finds its shard. Only `hash` today. */
    readonly by?: "hash";
    /** Number of logical shards, 1 to 1024, fixed for the life of the data. Default 32. */
    readonly count?: number;
  };
  /** Streaming replicas of each node, 0 to 5. Default 1. */
  readonly replicas?: number;
  /** Nodes that the shards are spread over at first, 1 to the number of shards. Default 1. */
  readonly nodes?: number;
  /** Whether a commit waits for replicas. Default: asynchronous. The strictest of a node's databases holds for it. */
  readonly replication?: ReplicationOptions;
  /** What its reads promise where they do not say so themselves. Default: level `session`, `waitMs` 50. */
  readonly reads?: ReadOptions;
  /** Values that lead to a key from any shard, such as an e-mail address, by name. Default: none. */
  readonly lookups?: Readonly<Record<string, LookupOptions>>;
  /** Small tables that every node has a copy of. Default: none. */
  readonly reference?: ReferenceOptions;
}

export interface ResolvedDatabaseOptions {
  readonly migrations: URL | undefined;
  readonly shardBy: "hash";
  readonly shardCount: number;
  readonly replicas: number;
  readonly nodes: number;
  readonly replication: ResolvedReplication;
  readonly reads: ResolvedRead;
  readonly lookups: ResolvedLookups;
  readonly reference: ResolvedReference | undefined;
}

export const databaseDefaults = { shardCount: 32, replicas: 1, nodes: 1, reads: readDefaults } as const;

export interface ShardWriteOptions extends WriteOptions {
  /**
   * What the key has under each lookup named here once the write has committed: one value, several, or `null` for
   * none. What it had besides is given up in the same transaction. Lookups that are not named stay as they are.
   */
  readonly lookups?: LookupValues;
}

export interface Shard<Tables> {
  readonly index: number;
  /** Statements that cannot write, each with a snapshot of its own. @see ReadOptions */
  read<T>(run: (sql: Kysely<Tables>) => Promise<T>): Promise<T>;
  read<T>(how: ReadLevel | ReadOptions, run: (sql: Kysely<Tables>) => Promise<T>): Promise<T>;
  /** A read-write transaction. @see ShardWriteOptions */
  write<T>(run: (tx: Transaction<Tables>) => Promise<T>, options?: ShardWriteOptions): Promise<T>;
  /** A read-write transaction that happens once per guard. @returns false when it had happened before */
  writeOnce(guard: EffectGuard, run: (tx: Transaction<Tables>) => Promise<void>): Promise<boolean>;
}

/** A database of whatever tables: for code that routes, migrates or binds, and never looks at a row. */
export type AnyDatabase = Database<AnyTables>;

export interface Database<Tables> extends Bindable<FullDatabasePort> {
  readonly kind: "database";
  readonly options: ResolvedDatabaseOptions;
  /** The shard that holds `key`. */
  at(key: ShardKey): Shard<Tables>;
  /** Every shard, for questions that have no key. Each is asked on its own: there is no common snapshot. */
  shards(): readonly Shard<Tables>[];
  /** From values to keys. @throws {HoldfastError} HOLDFAST_INPUT_INVALID when no such lookup is declared */
  lookup(name: string): Lookup<Tables>;
  /** The tables that every node has a copy of. */
  readonly reference: Reference<Tables>;
}

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function database<Tables>(name: string, options: DatabaseOptions = {}): Database<Tables> {
  const resolved = resolveDatabaseOptions(name, options);
  const handle: Database<Tables> = {
    kind: "database",
    name,
    options: resolved,
    at: (key) => shard(handle, boundPort(handle).shardOf(key), String(key)),
    shards: () => Array.from({ length: boundPort(handle).shardCount }, (_, index) => shard(handle, index)),
    lookup: (lookup) => lookupHandle<Tables>(handle, lookup),
    get reference() {
      return referenceHandle<Tables>(handle);
    },
  };
  return handle;
}

/** @param key the one that led to it, if one did */
function shard<Tables>(handle: Database<Tables>, index: number, key?: string): Shard<Tables> {
  const report = <T>(operation: string, run: (undone: Undone) => Promise<T>): Promise<T> =>
    currentWorld(handle).seam.operation("database", handle.name, operation, currentCall(), run, {
      shard: index,
    });
  return {
    index,
    read<T>(
      first: ReadLevel | ReadOptions | ((sql: Kysely<Tables>) => Promise<T>),
      second?: (sql: Kysely<Tables>) => Promise<T>,
    ): Promise<T> {
      const [how, run] = typeof first === "function" ? [handle.options.reads.level, first] : [first, second];
      if (!run) throw new TypeError("read needs a function to run");
      return report("read", (undone) => boundPort(handle).read(index, how, run, undone));
    },
    write: (run, { lookups, ...options } = {}) =>
      report("write", async (undone) => {
        const port = boundPort(handle);
        if (lookups === undefined) return port.write(index, run, options, undone);
        const changes = lookupChanges(handle.name, handle.options.lookups, key, lookups);
        return port.lookups.write({ key: key as string, shard: index, changes }, run, options, undone);
      }),
    writeOnce: (guard, run) =>
      report("write-once", (undone) => boundPort(handle).writeOnce(index, guard, run, undone)),
  };
}

function resolveDatabaseOptions(name: string, options: DatabaseOptions): ResolvedDatabaseOptions {
  const replicaCount = options.replicas ?? databaseDefaults.replicas;
  const replication = resolveReplication(options.replication ?? {}, replicaCount);
  const lookups = resolveLookups(options.lookups ?? {});
  const reference = options.reference && resolveReference(options.reference);
  const resolved: ResolvedDatabaseOptions = {
    migrations: options.migrations,
    shardBy: options.shards?.by ?? "hash",
    shardCount: options.shards?.count ?? databaseDefaults.shardCount,
    replicas: replicaCount,
    nodes: options.nodes ?? databaseDefaults.nodes,
    replication: Object.freeze(replication.replication),
    reads: Object.freeze({ ...readDefaults, ...definedOf(options.reads ?? {}) }),
    lookups: lookups.lookups,
    reference: reference?.reference,
  };
  const problems: string[] = [];
  const naming = namingProblem("database", name);
  if (naming) problems.push(naming);
  const { shardBy, shardCount, replicas, nodes } = resolved;
  if (shardBy !== "hash") problems.push(`shards.by should be "hash", got ${JSON.stringify(shardBy)}`);
  if (!isWholeIn(shardCount, 1, 1024))
    problems.push(`shards.count should be a whole number from 1 to 1024, got ${shardCount}`);
  if (!isWholeIn(replicas, 0, 5))
    problems.push(`replicas should be a whole number from 0 to 5, got ${replicas}`);
  if (!isWholeIn(nodes, 1, shardCount))
    problems.push(
      `nodes should be a whole number from 1 to the number of shards (${shardCount}), got ${nodes}`,
    );
  problems.push(...replication.problems);
  problems.push(...readProblems(resolved.reads, "reads."));
  problems.push(...lookups.problems, ...(reference?.problems ?? []));
  refuseProblems("HOLDFAST_OPTIONS_INVALID", `database "${name}"`, problems);
  return Object.freeze(resolved);
}

/** Without what is there and undefined: that means the default. */
function definedOf(options: ReadOptions): ReadOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function isWholeIn(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}
