/**
 * `route`: runs a query on the shard of the keys that it names.
 */
import type { CompiledQuery, Kysely, OperationNode, SelectQueryNode } from "kysely";
import { HoldfastError } from "../../../call/index.ts";
import { decidingParts, type ShardStrategy } from "../../../placement/index.ts";
import { compiled, compileOnly } from "../compile-only.ts";
import { unmergeable } from "../everywhere/mergeable.ts";
import { type ScatterDatabase, scatter } from "../everywhere/scatter.ts";
import type { AnyTables, ShardKey, WriteOptions } from "../port.ts";
import { type ReadOptions, readProblems } from "../read-options.ts";
import { findKeys } from "./find-keys.ts";
import type { Unroutable } from "./refusal.ts";

/** Of reads: level, lag and wait. Of writes: idempotency key, fingerprint and marker. One statement needs no isolation. */
export interface RouteOptions extends Omit<ReadOptions, "isolation">, Omit<WriteOptions, "isolation"> {}

export interface Routed<Row> {
  /** Those of a select; of a write those that it returns. */
  readonly rows: Row[];
  /** Rows that a write inserted, changed or removed; `undefined` for a read. */
  readonly affected: number | undefined;
  /** Where it ran, rising. */
  readonly shards: readonly number[];
}

export interface RouteDatabase extends ScatterDatabase {
  readonly strategy: ShardStrategy;
  readonly keys: Readonly<Record<string, readonly string[]>>;
  locate(key: ShardKey): Promise<number>;
  write<T>(shard: number, run: (sql: Kysely<AnyTables>) => Promise<T>, options: WriteOptions): Promise<T>;
}

const readFields = ["level", "lagMsMax", "waitMs"] as const;
const writeFields = ["idempotencyKey", "fingerprint", "marker"] as const;

/**
 * @throws {HoldfastError} HOLDFAST_UNROUTABLE with table, column and reason; HOLDFAST_INPUT_INVALID; in both cases
 *   nothing was sent
 */
export async function route<Row>(
  database: RouteDatabase,
  options: RouteOptions,
  build: (sql: Kysely<AnyTables>) => unknown,
): Promise<Routed<Row>> {
  const built = build(compileOnly);
  const query = compiled(built);
  if (!query) {
    const isRaw = typeof built === "object" && built !== null && "isRawBuilder" in built;
    throw isRaw
      ? unroutable(database, { reason: "raw SQL is not looked into: use at(key)" })
      : invalid(database, ["the function should give back a query, built and not executed"]);
  }
  const node = query.query as OperationNode;
  const tables = { keys: database.keys, deciding: decidingParts(database.strategy) };
  const found = findKeys(node, tables);
  if ("reason" in found) throw unroutable(database, found);
  const foreign = found.kind === "read" ? writeFields : readFields;
  const problems = foreign
    .filter((field) => options[field] !== undefined)
    .map(
      (field) => `${field} is for ${found.kind === "read" ? "writes" : "reads"}, and this is a ${found.kind}`,
    );
  problems.push(...readProblems(options));
  if (problems.length > 0) throw invalid(database, problems);

  const shards = await shardsOf(database, found.keys);
  const [shard = 0] = shards;
  if (found.kind === "write") {
    if (shards.length > 1)
      throw unroutable(database, {
        reason: `a write is one transaction on one shard, and its keys are on shards ${shards.join(", ")}: write for each key by itself`,
      });
    const { rows, affected } = await database.write(shard, (tx) => run<Row>(tx, query), options);
    return { rows, affected, shards };
  }
  if (shards.length > 1) {
    const reason = unmergeable(node as SelectQueryNode);
    if (reason)
      throw unroutable(database, { reason: `its keys are on shards ${shards.join(", ")}, where ${reason}` });
  }
  const { answers } = await scatter(database, shards, options, (one) =>
    database.read(one, options, (sql) => run<Row>(sql, query)),
  );
  return { rows: [...answers.values()].flatMap(({ rows }) => rows), affected: undefined, shards };
}

/** Keys that are looked up at the same time: look-ups wait for connections like anything else. */
const lookupsAtOnce = 8;

/** @returns rising, each once */
async function shardsOf(database: RouteDatabase, keys: readonly ShardKey[]): Promise<number[]> {
  const shards = new Set<number>();
  for (let at = 0; at < keys.length; at += lookupsAtOnce) {
    const some = keys.slice(at, at + lookupsAtOnce).map((key) => database.locate(key));
    for (const shard of await Promise.all(some)) shards.add(shard);
  }
  return [...shards].sort((a, b) => a - b);
}

/** As a write with an idempotency key keeps it: without bigints. */
async function run<Row>(sql: Kysely<AnyTables>, query: CompiledQuery) {
  const { rows, numAffectedRows = 0n } = await sql.executeQuery<Row>(query as CompiledQuery<Row>);
  return { rows, affected: Number(numAffectedRows) };
}

function unroutable(database: RouteDatabase, { reason, ...about }: Unroutable): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_UNROUTABLE",
    `database "${database.name}": the query cannot be routed: ${reason}. Nothing was sent.`,
    { data: { database: database.name, reason, ...about } },
  );
}

function invalid(database: RouteDatabase, problems: readonly string[]): HoldfastError {
  return new HoldfastError("HOLDFAST_INPUT_INVALID", `database "${database.name}": ${problems.join("; ")}.`, {
    data: { problems },
  });
}
