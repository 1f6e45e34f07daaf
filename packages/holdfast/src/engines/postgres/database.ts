/**
 * The engine of a database part on Postgres: finds the shard of a key and the node of a shard, and has the read
 * or the write done there.
 */
import { type Call, currentCall, HoldfastError, type Undone } from "../../call/index.ts";
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
import { reviewSession } from "./session-review.ts";
import { whereItIs } from "./shard-moved.ts";
import type { ShardPlace } from "./shard-place.ts";

/**
 * @param nodes opened by the caller, who closes them
 * @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID when the shard map does not fit the declaration
 */
export function postgresDatabase(declaration: AnyDatabase, nodes: DatabaseNodes, clock: Clock): DatabasePort {
  checkShardMap(declaration, nodes);
  const { map } = nodes;
  const { shardCount } = declaration.options;
  const uses = new StatementUse();
  const statements = new QualifiedStatements();
  let reads = 0;

  /**
   * Without replicas every read is the primary's, which is never behind, and there is no failover. One that is
   * declared may be away for now, and may be the next primary.
   */
  const isTracked = (node: string): boolean =>
    declaration.options.replicas > 0 || nodes.replicas(node).length > 0;

  const { replication } = declaration.options;
  const quorumOf = (node: string): QuorumProof | undefined =>
    replication.mode === "synchronous"
      ? nodes.watch(node).quorum(replication.onReplicaLoss === "degrade")
      : undefined;

  /** Where the shard is, once the call's session has been held against what it left behind elsewhere. */
  const routed = async <T>(
    shard: number,
    call: Call | undefined,
    remembers: boolean,
    run: (place: ShardPlace) => Promise<T>,
  ): Promise<T> => {
    const patience = patienceOf(call, clock);
    if (call) await map.catchUp(call.session, patience);
    const value = await whereItIs(map, shard, patience, clock, (place) => {
      const { left } = place;
      // Beyond what the old node had when the shard left it: lost there, and not come along.
      if (left && remembers && call) reviewSession(call.session, left.node, left.line, nodes.tokenCounts);
      return run(place);
    });
    if (call && remembers) map.note(call.session);
    return value;
  };

  const write = <T>(
    shard: number,
    proofs: ProofMaker<T>,
    run: Parameters<typeof writeTransaction<T>>[0]["run"],
    undone: Undone | undefined,
  ): Promise<T> => {
    const call = currentCall();
    return routed(shard, call, true, ({ node, schema }) =>
      writeTransaction({
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
      }),
    );
  };

  return {
    shardCount,
    shardOf: (key) => keyHashModulo(String(key), shardCount),
    read: async (shard, how, run, undone) => {
      const call = currentCall();
      const read = resolveRead(how, declaration.options.reads);
      return routed(shard, call, read.level !== "eventual", ({ node, schema, floor }) => {
        const onPrimary = read.level !== "eventual" && call?.session.requiresPrimary(node) === true;
        return readOnly({
          nodes,
          node,
          schema,
          floor,
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
