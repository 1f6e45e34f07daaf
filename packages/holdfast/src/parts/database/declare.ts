/**
 * `database`: sharded, replicated SQL.
 *
 * Rows live in logical shards, a fixed number of them; shards live on nodes, and may move. `at(key)` is the
 * one shard that holds the key: everything that must change together belongs to one key's shard.
 */
import type { Kysely, Transaction } from "kysely";
import { currentCall, refuseProblems, type Undone } from "../../call/index.ts";
import type { ShardStrategy } from "../../placement/index.ts";
import { insideTransaction } from "../outbox/index.ts";
import { type Bindable, namingProblem } from "../part.ts";
import { boundPort, currentWorld } from "../world.ts";

import type { RowOf } from "./changes/change.ts";
import { type ChangeFeed, type ChangeFeedOptions, changeFeed } from "./changes/declare.ts";
import type { Buildable } from "./compile-only.ts";
import { type EverywhereOptions, everywhere, type Page } from "./everywhere/everywhere.ts";
import type { Select } from "./everywhere/page-query.ts";
import type { ScatterDatabase } from "./everywhere/scatter.ts";
import { type Totals, type TotalsOptions, totals } from "./everywhere/totals.ts";
import type { FullDatabasePort } from "./full-port.ts";
import { type Lookup, lookupHandle } from "./lookup/handle.ts";
import { type LookupOptions, type ResolvedLookups, resolveLookups } from "./lookup/options.ts";
import { type LookupValues, lookupChanges } from "./lookup/values.ts";
import { noteOpened } from "./opened-on.ts";
import type {
  AnyTables,
  Assignment,
  AssignOptions,
  EffectGuard,
  KeyPart,
  ShardKey,
  TogetherOptions,
  WriteOptions,
} from "./port.ts";

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
import { type RouteDatabase, type Routed, type RouteOptions, route } from "./route/route.ts";
import { shardsBetween } from "./sharding/shard-between.ts";
import { keyPartsOf } from "./sharding/shard-key.ts";
import { resolveShards, type ShardOptions, shardDefaults } from "./sharding/shard-options.ts";
import { type Together, writeTogether } from "./together.ts";

export interface DatabaseOptions {
  /** Folder of `NNN_name.sql` files, run in order on each shard, each once. Default: no migrations. */
  readonly migrations?: URL;
  /** How a key finds its shard: by `hash` (default), `range` or `directory`. Fixed for the life of the data. */
  readonly shards?: ShardOptions;
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
  readonly shardBy: ShardStrategy["by"];
  readonly strategy: ShardStrategy;
  readonly shardCount: number;
  /** Key columns of the tables that `route` may address. */
  readonly keys: Readonly<Record<string, readonly string[]>>;
  readonly replicas: number;
  readonly nodes: number;
  readonly replication: ResolvedReplication;
  readonly reads: ResolvedRead;
  readonly lookups: ResolvedLookups;
  readonly reference: ResolvedReference | undefined;
}

export const databaseDefaults = { ...shardDefaults, replicas: 1, nodes: 1, reads: readDefaults } as const;

export interface ShardWriteOptions extends WriteOptions {
  /**
   * What the key has under each lookup named here once the write has committed: one value, several, or `null` for
   * none. What it had besides is given up in the same transaction. Lookups that are not named stay as they are.
   */
  readonly lookups?: LookupValues;
}

export interface Shard<Tables> {
  /**
   * Its number, from 0.
   *
   * @throws {HoldfastError} HOLDFAST_UNROUTABLE for a key of a directory that this process has not looked up yet:
   *   `locate` does
   */
  readonly index: number;
  /** Its number, looked up where that is needed. */
  locate(): Promise<number>;
  /** Statements that cannot write, each with a snapshot of its own. @see ReadOptions */
  read<T>(run: (sql: Kysely<Tables>) => Promise<T>): Promise<T>;
  read<T>(how: ReadLevel | ReadOptions, run: (sql: Kysely<Tables>) => Promise<T>): Promise<T>;
  /** A read-write transaction. @see ShardWriteOptions */
  write<T>(run: (tx: Transaction<Tables>) => Promise<T>, options?: ShardWriteOptions): Promise<T>;
  /**
   * A read-write transaction that happens once per guard.
   *
   * @param run gets the mark of the guard that was applied last, if there is one
   * @returns false when it had happened before
   */
  writeOnce(
    guard: EffectGuard,
    run: (tx: Transaction<Tables>, markBefore: string | undefined) => Promise<void>,
  ): Promise<boolean>;
}

/** A database of whatever tables: for code that routes, migrates or binds, and never looks at a row. */
export type AnyDatabase = Database<AnyTables>;

export interface Database<Tables> extends Bindable<FullDatabasePort> {
  readonly kind: "database";
  readonly options: ResolvedDatabaseOptions;
  /**
   * The shard that holds `key`. A key of a directory is looked up when the shard is first used, once per process.
   *
   * @throws {HoldfastError} HOLDFAST_INPUT_INVALID for what is no key
   */
  at(key: ShardKey): Shard<Tables>;
  /**
   * One transaction on the shards of several keys, which have to be known before it begins: all of it commits or
   * none. Across nodes only with synchronous replication. @see TogetherOptions
   */
  together<T>(
    keys: readonly ShardKey[],
    run: (txs: Together<Tables>) => Promise<T>,
    options?: TogetherOptions,
  ): Promise<T>;
  /** Every shard, for questions that have no key. Each is asked on its own: there is no common snapshot. */
  shards(): readonly Shard<Tables>[];
  /**
   * The shards of keys from `from` to `to`, both included, in the order of their keys; `null` for no end. For `by: "range"`.
   *
   * @throws {HoldfastError} HOLDFAST_INPUT_INVALID for other strategies, for what is no key, and when the ends are
   *   in the wrong order
   */
  between(from: KeyPart | null, to: KeyPart | null): readonly Shard<Tables>[];
  /**
   * Runs a query on the shard of the keys that it names, as `shards.keys` says which columns those are: a select as a
   * read at the level asked, anything else as a write. `query` gives back the query, built and not executed.
   *
   * @throws {HoldfastError} HOLDFAST_UNROUTABLE with table, column and reason when the query does not say where its
   *   rows are, and nothing was sent
   */
  route<Row>(query: (sql: Kysely<Tables>) => Buildable<Row>): Promise<Routed<Row>>;
  route<Row>(
    how: ReadLevel | RouteOptions,
    query: (sql: Kysely<Tables>) => Buildable<Row>,
  ): Promise<Routed<Row>>;
  /**
   * A page of the rows of all shards in one order, each shard asked on its own, without a common snapshot. `select`
   * gives back a select, built and not executed; each shard runs it over its own rows.
   *
   * @throws {HoldfastError} HOLDFAST_INPUT_INVALID, and nothing was sent; HOLDFAST_UNROUTABLE for what shards cannot
   *   answer by themselves (aggregates, distinct, limit …)
   */
  everywhere<Row, Column extends string>(
    options: EverywhereOptions<Column>,
    select: (sql: Kysely<Tables>) => Select<Row> & HasColumns<Row, Column>,
  ): Promise<Page<Row>>;
  /**
   * Aggregates over all shards, added up here: `select` gives back a select of count, sum, min, max, bool_and and
   * bool_or, with or without GROUP BY.
   *
   * @throws {HoldfastError} HOLDFAST_UNROUTABLE for what does not add up (avg, distinct, having …)
   */
  totals<Row>(options: TotalsOptions, select: (sql: Kysely<Tables>) => Select<Row>): Promise<Totals<Row>>;
  /**
   * Puts a key on a shard, for ever. For `by: "directory"`. Idempotent; a composite key is assigned by its first part.
   *
   * @throws {HoldfastError} HOLDFAST_INPUT_INVALID; HOLDFAST_KEY_ASSIGNED when it is elsewhere than asked
   */
  assign(key: ShardKey, options?: AssignOptions): Promise<Assignment>;
  /** From values to keys. @throws {HoldfastError} HOLDFAST_INPUT_INVALID when no such lookup is declared */
  lookup(name: string): Lookup<Tables>;
  /**
   * What is committed to a table, in every shard, as a topic: a part, to be exported beside the database and consumed
   * by workers. Each call declares one; feeds of one table need names of their own. @see ChangeFeedOptions
   *
   * @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once
   */
  changes<Table extends keyof Tables & string>(
    table: Table,
    options?: ChangeFeedOptions,
  ): ChangeFeed<RowOf<Tables[Table]>>;
  /** The tables that every node has a copy of. */
  readonly reference: Reference<Tables>;
}

/** Nothing further of a select whose rows have the columns that are ordered by, as far as the compiler knows them. */
type HasColumns<Row, Column extends string> = [Column] extends [keyof Row]
  ? unknown
  : string extends Column
    ? unknown
    : { readonly "orderBy names a column that the select does not have": Exclude<Column, keyof Row> };

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function database<Tables>(name: string, options: DatabaseOptions = {}): Database<Tables> {
  const resolved = resolveDatabaseOptions(name, options);
  const handle: Database<Tables> = {
    kind: "database",
    name,
    options: resolved,
    at: (key) => {
      const port = boundPort(handle);
      if (resolved.shardBy !== "directory") return shard(handle, port.shardOf(key), lookupKey(key));
      keyPartsOf(resolved.strategy, key, name);
      return keyedShard(handle, key);
    },
    together: (keys, run, options = {}) => writeTogether(handle, keys, run, options),
    shards: () => Array.from({ length: boundPort(handle).shardCount }, (_, index) => shard(handle, index)),
    between: (from, to) => shardsBetween(name, resolved, from, to).map((index) => shard(handle, index)),
    route: async <Row>(
      first: ReadLevel | RouteOptions | ((sql: Kysely<Tables>) => Buildable<Row>),
      second?: (sql: Kysely<Tables>) => Buildable<Row>,
    ) => {
      const [given, query] = typeof first === "function" ? [{}, first] : [first, second];
      if (!query) throw new TypeError("route needs a function that builds a query");
      const how: RouteOptions = typeof given === "string" ? { level: given } : given;
      return reported(handle, "route", () => route<Row>(routeDatabase(handle), how, query));
    },
    everywhere: <Row>(how: EverywhereOptions, select: (sql: Kysely<Tables>) => Select<Row>) =>
      reported(handle, "everywhere", () => everywhere<Row>(scatterDatabase(handle), how, select)),
    totals: <Row>(how: TotalsOptions, select: (sql: Kysely<Tables>) => Select<Row>) =>
      reported(handle, "totals", () => totals<Row>(scatterDatabase(handle), how, select)),
    assign: (key, how = {}) => reported(handle, "assign", async () => boundPort(handle).assign(key, how)),
    lookup: (lookup) => lookupHandle<Tables>(handle, lookup),
    changes: (table, how) => changeFeed(handle, table, how),
    get reference() {
      return referenceHandle<Tables>(handle);
    },
  };
  return handle;
}

async function reported<T>(handle: AnyDatabase, operation: string, run: () => Promise<T>): Promise<T> {
  return currentWorld(handle).seam.operation("database", handle.name, operation, currentCall(), run);
}

/** All of its shards, for those who ask many. */
function scatterDatabase(handle: AnyDatabase): ScatterDatabase {
  const port = boundPort(handle);
  return {
    name: handle.name,
    engine: port,
    clock: currentWorld(handle).clock,
    shardCount: port.shardCount,
    nodeOf: (index) => port.nodeOf(index),
    read: (index, { level, lagMsMax, waitMs }, run) => {
      const how = { level, lagMsMax, waitMs };
      return shard(handle, index).read(definedOf(how), run);
    },
  };
}

function routeDatabase(handle: AnyDatabase): RouteDatabase {
  const { strategy, keys } = handle.options;
  return {
    ...scatterDatabase(handle),
    strategy,
    keys,
    locate: (key) => handle.at(key).locate(),
    write: (index, run, { idempotencyKey, fingerprint, marker }) =>
      shard(handle, index).write(run, definedOf({ idempotencyKey, fingerprint, marker })),
  };
}

/** What lookups know a key by: text. A composite key has none. */
function lookupKey(key: ShardKey): string | undefined {
  return typeof key === "object" ? undefined : String(key);
}

/** @param key the one that led to it, if one did */
function shard<Tables>(handle: Database<Tables>, index: number, key?: string): Shard<Tables> {
  const report = <T>(operation: string, run: (undone: Undone) => Promise<T>): Promise<T> =>
    currentWorld(handle).seam.operation("database", handle.name, operation, currentCall(), run, {
      shard: index,
    });
  /** Helpers that are handed its `sql` or `tx` can tell which shard it is of. */
  const noted =
    <Statements extends object, T, Rest extends unknown[]>(
      run: (statements: Statements, ...rest: Rest) => Promise<T>,
    ) =>
    (statements: Statements, ...rest: Rest) =>
      run(noteOpened(statements, handle, index), ...rest);
  const written = <T, Rest extends unknown[]>(
    run: (tx: Transaction<Tables>, ...rest: Rest) => Promise<T>,
  ) => {
    const noting = noted(run);
    return (tx: Transaction<Tables>, ...rest: Rest) => insideTransaction(() => noting(tx, ...rest));
  };
  return {
    index,
    locate: async () => index,
    read<T>(
      first: ReadLevel | ReadOptions | ((sql: Kysely<Tables>) => Promise<T>),
      second?: (sql: Kysely<Tables>) => Promise<T>,
    ): Promise<T> {
      const [how, run] = typeof first === "function" ? [handle.options.reads.level, first] : [first, second];
      if (!run) throw new TypeError("read needs a function to run");
      return report("read", (undone) => boundPort(handle).read(index, how, noted(run), undone));
    },
    write: (run, { lookups, ...options } = {}) =>
      report("write", async (undone) => {
        const port = boundPort(handle);
        if (lookups === undefined) return port.write(index, written(run), options, undone);
        const changes = lookupChanges(handle.name, handle.options.lookups, key, lookups);
        return port.lookups.write(
          { key: key as string, shard: index, changes },
          written(run),
          options,
          undone,
        );
      }),
    writeOnce: (guard, run) =>
      report("write-once", (undone) => boundPort(handle).writeOnce(index, guard, written(run), undone)),
  };
}

/** The shard of a directory's key, looked up when it is used. */
function keyedShard<Tables>(handle: Database<Tables>, key: ShardKey): Shard<Tables> {
  const locate = async (): Promise<number> => {
    const found = boundPort(handle).locate(key);
    if (typeof found === "number") return found;
    return currentWorld(handle).seam.operation("database", handle.name, "locate", currentCall(), () => found);
  };
  const located = async () => shard(handle, await locate(), lookupKey(key));
  return {
    get index() {
      return boundPort(handle).shardOf(key);
    },
    locate,
    read: async <T>(
      first: ReadLevel | ReadOptions | ((sql: Kysely<Tables>) => Promise<T>),
      second?: (sql: Kysely<Tables>) => Promise<T>,
    ): Promise<T> => {
      const own = await located();
      return typeof first === "function" ? own.read(first) : own.read(first, second as typeof second & {});
    },
    write: async (run, options) => (await located()).write(run, options),
    writeOnce: async (guard, run) => (await located()).writeOnce(guard, run),
  };
}

function resolveDatabaseOptions(name: string, options: DatabaseOptions): ResolvedDatabaseOptions {
  const replicaCount = options.replicas ?? databaseDefaults.replicas;
  const replication = resolveReplication(options.replication ?? {}, replicaCount);
  const nodes = options.nodes ?? databaseDefaults.nodes;
  const shards = resolveShards(options.shards ?? {}, nodes);
  const lookups = resolveLookups(options.lookups ?? {});
  const reference = options.reference && resolveReference(options.reference);
  const resolved: ResolvedDatabaseOptions = {
    migrations: options.migrations,
    shardBy: shards.strategy.by,
    strategy: Object.freeze(shards.strategy),
    shardCount: shards.shardCount,
    keys: Object.freeze(shards.keys),
    replicas: replicaCount,
    nodes,
    replication: Object.freeze(replication.replication),
    reads: Object.freeze({ ...readDefaults, ...definedOf(options.reads ?? {}) }),
    lookups: lookups.lookups,
    reference: reference?.reference,
  };
  const problems: string[] = [];
  const naming = namingProblem("database", name);
  if (naming) problems.push(naming);
  const { replicas } = resolved;
  problems.push(...shards.problems);
  if (!isWholeIn(replicas, 0, 5))
    problems.push(`replicas should be a whole number from 0 to 5, got ${replicas}`);
  problems.push(...replication.problems);
  problems.push(...readProblems(resolved.reads, "reads."));
  problems.push(...lookups.problems, ...(reference?.problems ?? []));
  refuseProblems("HOLDFAST_OPTIONS_INVALID", `database "${name}"`, problems);
  return Object.freeze(resolved);
}

/** Without what is there and undefined: that means the default. */
function definedOf<Options extends object>(
  options: Options,
): { [Name in keyof Options]?: Exclude<Options[Name], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}

function isWholeIn(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}
