/** However a stream is cut and begun anew, each change is stored once and in order: against the list of all of them. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { FeedCursor } from "./feed-home.ts";
import type { FeedRelation } from "./feed-relation.ts";
import { TransactionReader } from "./transaction-reader.ts";

const relation: FeedRelation = {
  schema: { shard: 0, move: undefined },
  table: "item",
  shard: 0,
  columns: [{ name: "id", typeOid: 25, key: true }],
};

interface Transaction {
  readonly changes: number;
  readonly foreign: boolean;
}

/** What the server sends from a position on: transactions whose commit begins there or behind. */
function* streamed(transactions: readonly Transaction[], from: bigint) {
  for (const [n, { changes, foreign }] of transactions.entries()) {
    const commitLsn = BigInt(n * 100 + 50);
    if (commitLsn < from) continue;
    yield { kind: "begin", commitLsn, atMs: 0, xid: n } as const;
    if (foreign) yield { kind: "origin", name: "elsewhere" } as const;
    for (let change = 0; change < changes; change++)
      yield { kind: "insert", oid: 1, after: [`${n}-${change}`] } as const;
    yield { kind: "commit", commitLsn, endLsn: commitLsn + 10n } as const;
    yield { kind: "keepalive", lsn: commitLsn + 20n } as const;
  }
}

test("stored once, in order, wherever it is cut", () => {
  const transactions = fc.array(fc.record({ changes: fc.nat(6), foreign: fc.boolean() }), { maxLength: 8 });
  // After so many messages something is stored, and after so many more the relay is killed.
  const lives = fc.array(fc.tuple(fc.nat(15), fc.nat(5)), { maxLength: 12 });
  fc.assert(
    fc.property(transactions, lives, (all, cuts) => {
      let cursor: FeedCursor = { system: "7", timeline: 1, lsn: 0n, part: undefined };
      const log: string[] = [];
      const live = (storeAfter: number, killAfter: number) => {
        const reader = new TransactionReader("node-1", 1, cursor);
        const store = () => {
          const taken = reader.take();
          cursor = taken.cursor;
          log.push(...taken.messages.map(({ key }) => key));
        };
        let read = 0;
        for (const message of streamed(all, cursor.lsn)) {
          if (message.kind === "begin") reader.begin(message);
          else if (message.kind === "origin") reader.origin();
          else if (message.kind === "commit") reader.commit(message);
          else if (message.kind === "keepalive") reader.reached(message.lsn);
          else if (reader.counts) reader.change(relation, message);
          read++;
          if (read === storeAfter) store();
          if (read === storeAfter + killAfter) return;
        }
        store();
      };
      for (const [storeAfter, killAfter] of cuts) live(storeAfter, killAfter);
      live(Number.POSITIVE_INFINITY, 0);
      const expected = all.flatMap(({ changes, foreign }, n) =>
        foreign ? [] : Array.from({ length: changes }, (_, change) => `${n}-${change}`),
      );
      expect(log).toEqual(expected);
    }),
  );
});
