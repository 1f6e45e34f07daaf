/**
 * The transactions of several shards on one session: each statement goes to its own shard, raw SQL too.
 *
 * The search path is set ahead of every statement, in the same packet, also when it should be right already: a
 * savepoint that was rolled back, or a function of the user's, may have changed it.
 */
import type { Transaction } from "kysely";
import type { HoldfastError } from "../../call/index.ts";
import type { AnyTables } from "../../parts/database/port.ts";
import { type KyselyLease, leaseKysely } from "./kysely-lease.ts";
import type { StatementUse } from "./kysely-statement-use.ts";
import type { TransactionOutbox } from "./outbox/transaction-outbox.ts";
import type { PgSession } from "./session.ts";

/** A logical shard, and the schema it is in. */
export interface PlacedShard {
  readonly shard: number;
  readonly schema: string;
}

export interface ShardLeases {
  /** Of the first shard: what a write of one shard would get. */
  readonly tx: Transaction<AnyTables>;
  txOf(shard: number): Transaction<AnyTables> | undefined;
  /** The first statement that failed and was not undone by a savepoint. */
  readonly failure: HoldfastError | undefined;
  readonly hasRead: boolean;
  /** What is published in them. */
  readonly outbox: TransactionOutbox;
  end(): void;
}

/** @param shards at least one, all of one node */
export function leaseShards(
  session: PgSession,
  uses: StatementUse,
  shards: readonly PlacedShard[],
  outbox: TransactionOutbox,
): ShardLeases {
  const [first, ...others] = shards;
  if (first === undefined) throw new RangeError("a lease needs at least one shard");
  const leases = new Map<number, KyselyLease>(
    shards.map(({ shard, schema }) => [
      shard,
      leaseKysely(
        session,
        uses,
        // Alone, it has the path that BEGIN has set.
        others.length === 0 ? undefined : { schema },
        undefined,
        undefined,
        outbox.at({ shard, schema }),
      ),
    ]),
  );
  const all = [...leases.values()];
  const txs = new Map([...leases].map(([shard, lease]) => [shard, lease.tx]));
  return {
    outbox,
    tx: txs.get(first.shard) as Transaction<AnyTables>,
    txOf: (shard) => txs.get(shard),
    get failure() {
      return all.find(({ failure }) => failure)?.failure;
    },
    get hasRead() {
      return all.some(({ hasRead }) => hasRead);
    },
    end: () => {
      for (const lease of all) lease.end();
    },
  };
}
