/** What a write on several shards needs to know. */
import type { Transaction } from "kysely";
import type { Undone } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { ResolvedReplication, ResolvedTogether } from "../../parts/database/index.ts";
import type { AnyTables } from "../../parts/database/port.ts";
import type { PlacedShard } from "./cross-shard-leases.ts";
import type { StatementUse } from "./kysely-statement-use.ts";
import type { DatabaseNodes } from "./nodes.ts";
import type { TransactionOutbox } from "./outbox/transaction-outbox.ts";
import type { Patience } from "./pool-lease.ts";
import type { QuorumProof } from "./quorum-proof.ts";

export interface ShardPlaceOn extends PlacedShard {
  readonly node: string;
}

export interface TogetherRequest<T> {
  /** Name of the part. */
  readonly database: string;
  readonly nodes: DatabaseNodes;
  /** By shard number, rising: so the same keys have the same coordinator, in whatever order they are given. */
  readonly places: readonly ShardPlaceOn[];
  readonly replication: ResolvedReplication;
  readonly options: ResolvedTogether;
  readonly patience: Patience;
  readonly uses: StatementUse;
  readonly clock: Clock;
  /** Of a synchronous database. */
  quorumOf(node: string): QuorumProof | undefined;
  /** Whether the call's session should learn positions of the node. */
  isTracked(node: string): boolean;
  run(txOf: (shard: number) => Transaction<AnyTables> | undefined): Promise<T>;
  readonly undone: Undone | undefined;
  /** What is published on a node, for each attempt anew. */
  openOutbox(node: string): TransactionOutbox;
  /** Told of each node on which something that was published has committed. */
  published(node: string): void;
}
