/**
 * A write on several shards: one local transaction when they are on one node, two-phase commit when they are not.
 */
import { writeProofs } from "./commit-proof.ts";
import { leaseShards, type ShardLeases } from "./cross-shard-leases.ts";
import type { ShardPlaceOn, TogetherRequest } from "./cross-shard-request.ts";
import { writeAcross } from "./cross-shard-transaction.ts";
import { writeTransaction } from "./database-write.ts";

/** @throws {HoldfastError} as `DatabasePort.together` says */
export function writeTogether<T>(request: TogetherRequest<T>): Promise<T> {
  const nodes = new Set(request.places.map(({ node }) => node));
  return nodes.size === 1 ? writeOnOneNode(request) : writeAcross(request);
}

function writeOnOneNode<T>(request: TogetherRequest<T>): Promise<T> {
  const { nodes, places, patience, uses, clock, options, undone } = request;
  const [first] = places as [ShardPlaceOn];
  let leases: ShardLeases | undefined;
  return writeTransaction<T>({
    nodes,
    node: first.node,
    schema: first.schema,
    patience,
    proofs: writeProofs(first.shard, options, clock),
    uses,
    clock,
    quorum: request.quorumOf(first.node),
    track: request.isTracked(first.node),
    lease: (session, outbox) => {
      leases = leaseShards(session, uses, places, outbox);
      return leases;
    },
    outbox: {
      ...first,
      open: () => request.openOutbox(first.node),
      published: () => request.published(first.node),
    },
    run: () => request.run((shard) => leases?.txOf(shard)),
    told: undefined,
    undone,
  });
}
