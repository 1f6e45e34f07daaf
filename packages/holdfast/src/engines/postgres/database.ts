/**
 * The engine of a database part on Postgres: finds the shard of a key and the node of a shard, and has the read
 * or the write done there.
 */
import { currentCall, HoldfastError, type Undone } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { AnyDatabase } from "../../parts/database/index.ts";
import type { DatabasePort } from "../../parts/database/port.ts";
import { resolveRead } from "../../parts/database/read-options.ts";
import { keyHashModulo, shardMapProblems } from "../../placement/index.ts";
import { guardProofs, type ProofMaker, writeProofs } from "./commit-proof.ts";
import { readOnly } from "./database-read.ts";
import { writeTransaction } from "./database-write.ts";
import { QualifiedStatements } from "./kysely-qualify.ts";
import { StatementUse } from "./kysely-statement-use.ts";
import type { DatabaseNodes } from "./nodes.ts";
import { patienceOf } from "./pool-lease.ts";
import type { QuorumProof } from "./quorum-proof.ts";

/** Schema of a logical shard, in the part's database on the shard's node. */
export function shardSchema(shard: number): string {
  return `s${shard}`;
}

/**
 * @param nodes opened by the caller, who closes them
 * @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID when the shard map does not fit the declaration
 */
export function postgresDatabase(declaration: AnyDatabase, nodes: DatabaseNodes, clock: Clock): DatabasePort {
  checkShardMap(declaration, nodes);
  const { shards } = nodes.config.shardMap;
  const uses = new StatementUse();
  const statements = new QualifiedStatements();
  let reads = 0;

  const nodeOf = (shard: number): string => {
    const node = shards[shard];
    if (node === undefined)
      throw new RangeError(`shard should be a whole number from 0 to ${shards.length - 1}, got ${shard}`);
    return node;
  };

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

  const write = <T>(
    shard: number,
    proofs: ProofMaker<T>,
    run: Parameters<typeof writeTransaction<T>>[0]["run"],
    undone: Undone | undefined,
  ): Promise<T> => {
    const node = nodeOf(shard);
    const call = currentCall();
    return writeTransaction({
      nodes,
      node,
      schema: shardSchema(shard),
      patience: patienceOf(call, clock),
      proofs,
      uses,
      clock,
      quorum: quorumOf(node),
      track: call !== undefined && isTracked(node),
      run,
      undone,
    });
  };

  return {
    shardCount: shards.length,
    shardOf: (key) => keyHashModulo(String(key), shards.length),
    read: async (shard, how, run, undone) => {
      const node = nodeOf(shard);
      const call = currentCall();
      const read = resolveRead(how, declaration.options.reads);
      const onPrimary = read.level !== "eventual" && call?.session.requiresPrimary(node) === true;
      return readOnly({
        nodes,
        node,
        schema: shardSchema(shard),
        read: onPrimary ? { ...read, level: "strong" } : read,
        patience: patienceOf(call, clock),
        quorum: quorumOf(node),
        tracked: isTracked(node),
        uses,
        statements,
        clock,
        turn: reads++,
        run,
        undone,
      });
    },
    write: async (shard, run, options, undone) =>
      write(shard, writeProofs(shard, options, clock), run, undone),
    writeOnce: async (shard, guard, run, undone) =>
      write(
        shard,
        guardProofs(guard),
        async (tx) => {
          await run(tx);
          return true;
        },
        undone,
      ),
  };
}

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
