/**
 * The engine of a database part on Postgres: finds the shard of a key and the node of a shard, and has the read
 * or the write done there.
 */
import type { Kysely, Transaction } from "kysely";
import { type Call, currentCall, HoldfastError, type LogPosition, type Undone } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { FullDatabasePort } from "../../parts/database/full-port.ts";
import type { AnyDatabase } from "../../parts/database/index.ts";
import type { AnyTables, DatabasePort, ReadLevel, ReadOptions, ShardKey } from "../../parts/database/port.ts";
import { type ResolvedRead, resolveRead } from "../../parts/database/read-options.ts";
import { shardMapProblems } from "../../placement/index.ts";
import { guardProofs, type ProofMaker, writeProofs } from "./commit-proof.ts";
import { writeTogether } from "./cross-shard.ts";
import { readOnly } from "./database-read.ts";
import { writeTransaction } from "./database-write.ts";
import { Directory } from "./directory.ts";
import { keyLocator } from "./key-locator.ts";
import { QualifiedStatements } from "./kysely-qualify.ts";
import { StatementUse } from "./kysely-statement-use.ts";
import { postgresLookups } from "./lookup/lookups.ts";
import type { DatabaseNodes } from "./nodes.ts";
import { outboxOf } from "./outbox/outbox-of.ts";
import { patienceOf } from "./pool-lease.ts";
import type { QuorumProof } from "./quorum-proof.ts";
import { postgresReference } from "./reference/reference.ts";
import { referenceSchema } from "./search-path.ts";
import { reviewSession } from "./session-review.ts";
import { moveOf, whereTheyAre } from "./shard-moved.ts";
import type { ShardPlace } from "./shard-place.ts";

/** Schema of the framework's own tables, on every node. */
const frameworkSchema = "holdfast";

/** Where statements run. */
interface Place {
  readonly node: string;
  readonly schema: string;
  readonly floor?: LogPosition | undefined;
  /** Absent for what is no shard's. */
  readonly shard?: number;
}

/**
 * @param nodes opened by the caller, who closes them
 * @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID when the shard map does not fit the declaration
 */
export function postgresDatabase(
  declaration: AnyDatabase,
  nodes: DatabaseNodes,
  clock: Clock,
): FullDatabasePort {
  checkShardMap(declaration, nodes);
  const { map } = nodes;
  const { shardCount } = declaration.options;
  const uses = new StatementUse();
  const statements = new QualifiedStatements(declaration.options.reference?.tables);
  const outbox = outboxOf(declaration, nodes, clock);
  let reads = 0;
  const watch = nodes.told;
  const toldOf = ({ node, schema, shard }: Place, call: Call | undefined) =>
    watch && shard !== undefined
      ? (text: string) =>
          watch.statement({
            database: declaration.name,
            shard,
            schema,
            endpoint: nodes.primary(node).endpoint,
            text,
            call,
          })
      : undefined;

  /**
   * Without replicas every read is the primary's, which is never behind, and there is no failover. One that is
   * declared may be away for now, and may be the next primary.
   */
  const isTracked = (node: string): boolean =>
    declaration.options.replicas > 0 || nodes.replicas(node).length > 0 || nodes.located(node) !== undefined;

  const { replication } = declaration.options;
  const quorumOf = (node: string): QuorumProof | undefined =>
    replication.mode === "synchronous"
      ? nodes.watch(node).quorum(replication.onReplicaLoss === "degrade")
      : undefined;

  const atHome: Place = { node: nodes.home, schema: frameworkSchema };

  /** Where the shards are, once the call's session has been held against what it left behind elsewhere. */
  const routed = async <T>(
    shards: readonly number[],
    remembers: boolean,
    run: (places: readonly ShardPlace[]) => Promise<T>,
  ): Promise<T> => {
    const call = currentCall();
    const patience = patienceOf(call, clock);
    if (call && map.isBehind(call.session)) await map.catchUp(call.session, patience);
    const value = await whereTheyAre(map, shards, patience, clock, (places) => {
      for (const { left } of places) {
        // Beyond what the old node had when the shard left it: lost there, and not come along.
        if (left && remembers && call) reviewSession(call.session, left.node, left.line, nodes.tokenCounts);
      }
      return run(places);
    });
    if (call && remembers) map.note(call.session);
    return value;
  };

  const write = <T>(
    place: Place,
    proofs: ProofMaker<T>,
    run: Parameters<typeof writeTransaction<T>>[0]["run"],
    undone: Undone | undefined,
  ): Promise<T> => {
    const call = currentCall();
    const { node, schema } = place;
    return writeTransaction({
      nodes,
      node,
      schema,
      patience: patienceOf(call, clock),
      proofs,
      uses,
      clock,
      quorum: quorumOf(node),
      track: call !== undefined && isTracked(node),
      run,
      undone,
      told: toldOf(place, call),
      outbox: {
        shard: place.shard ?? referenceShard,
        schema,
        open: () => outbox.open(node),
        published: () => outbox.published(node),
      },
    });
  };

  const resolved = (how: ReadLevel | ReadOptions) => resolveRead(how, declaration.options.reads);
  const read = <T>(
    place: Place,
    asked: ResolvedRead,
    run: (sql: Kysely<AnyTables>) => Promise<T>,
    undone?: Undone,
  ): Promise<T> => {
    const call = currentCall();
    const { node, schema } = place;
    const onPrimary = asked.level !== "eventual" && call?.session.requiresPrimary(node) === true;
    return readOnly({
      nodes,
      node,
      schema,
      floor: place.floor,
      read: onPrimary ? { ...asked, level: "strong" } : asked,
      patience: patienceOf(call, clock),
      quorum: quorumOf(node),
      tracked: isTracked(node),
      uses,
      statements,
      clock,
      turn: reads++,
      run,
      undone,
      told: toldOf(place, call),
    });
  };

  const writeWith = <T>(
    shard: number,
    proofs: ProofMaker<T>,
    run: Parameters<typeof writeTransaction<T>>[0]["run"],
    undone: Undone | undefined,
  ): Promise<T> =>
    routed([shard], true, ([place]) => write({ ...(place as ShardPlace), shard }, proofs, run, undone));

  const writeShard: DatabasePort["write"] = async (shard, run, options, undone) =>
    writeWith(shard, writeProofs(shard, options, clock), run, undone);

  const directory = new Directory(declaration, {
    readHome: (level, run) => read(atHome, resolved(level), run),
    // Markers are told apart by their ids; the shard only says whose idempotency keys they are.
    writeHome: (run) => write(atHome, writeProofs(0, {}, clock), run, undefined),
    writeShard: (shard, run) => writeShard(shard, run, {}),
  });

  const locator = keyLocator(declaration, directory);
  const watchedShardOf: DatabasePort["shardOf"] = (key) => {
    const shard = locator.shardOf(key);
    watch?.key({ database: declaration.name, key: String(key), shard, shardCount });
    return shard;
  };
  const sharded = {
    shardCount,
    ...locator,
    shardOf: watch ? watchedShardOf : locator.shardOf,
    nodeOf: (shard) => map.place(shard).node,
    read: async (shard, how, run, undone) => {
      const asked = resolved(how);
      return routed([shard], asked.level !== "eventual", ([place]) =>
        read({ ...(place as ShardPlace), shard }, asked, run, undone),
      );
    },
    write: writeShard,
    together: async (shards, run, options, undone) =>
      routed(shards, true, (placed) => {
        const call = currentCall();
        const patience = patienceOf(call, clock);
        return writeTogether({
          database: declaration.name,
          nodes,
          places: placed.map(({ node, schema }, index) => ({ shard: shards[index] as number, node, schema })),
          replication,
          options,
          patience,
          uses,
          clock,
          quorumOf,
          isTracked: (node) => call !== undefined && isTracked(node),
          run,
          undone,
          openOutbox: outbox.open,
          published: outbox.published,
        }).catch(async (error: unknown) => {
          throw await moveOf(error, placed, (node) => nodes.primary(node), patience);
        });
      }),
  } satisfies Omit<DatabasePort, "writeOnce">;
  // Lookups keep keys as text.
  const { strategy } = declaration.options;
  const locateText = (key: ShardKey) =>
    locator.locate(strategy.by === "range" && strategy.of === "integer" ? BigInt(String(key)) : key);
  return {
    ...sharded,
    writeOnce: async (shard, guard, run, undone) => {
      const { proofs, markBefore } = guardProofs(guard);
      const once = async (tx: Transaction<AnyTables>) => {
        await run(tx, markBefore());
        return true;
      };
      return writeWith(shard, proofs, once, undone);
    },
    lookups: postgresLookups(declaration, { ...sharded, locate: locateText }, clock),
    reference: postgresReference({
      database: declaration.name,
      reference: declaration.options.reference,
      home: nodes.home,
      nodes: nodes.config.nodes.map((node) => node.name),
      clock,
      read: (node, run) => read({ node, schema: referenceSchema }, resolved("strong"), run, undefined),
      write: async (node, run, options, undone) =>
        write({ node, schema: referenceSchema }, writeProofs(referenceShard, options, clock), run, undone),
    }),
  };
}

/** In the place of a shard's number, where markers and idempotency keys of reference tables are kept. */
const referenceShard = -1;

export function checkShardMap(declaration: AnyDatabase, nodes: DatabaseNodes): void {
  const { shardCount } = declaration.options;
  const names = nodes.config.nodes.map((node) => node.name);
  const problems = shardMapProblems(nodes.config.shardMap, { shardCount, nodes: names });
  if (problems.length === 0) return;
  throw new HoldfastError(
    "HOLDFAST_OPTIONS_INVALID",
    `database "${declaration.name}": ${problems.join("; ")}`,
    { data: { problems } },
  );
}
