/**
 * A bank whose accounts are spread over shards and nodes. Transfers change two of them together; each leaves a row
 * (a leg) beside each account that it changed. An audit reads one shard at one moment: what its accounts hold and
 * what its legs moved always fit together. The total over all shards is judged at rest only: between a decision and
 * the last shard's commit a reader may see one half (atomicity, not isolation).
 */
import { sql, type Transaction } from "kysely";
import { checkBank } from "../../check/index.ts";
import { type Random, randomInt, systemClock } from "../../clock/index.ts";
import type { Together } from "../../parts/database/index.ts";
import { type Database, database, system } from "../../parts/index.ts";
import { allOrNothing, type BankAtRest, type Leg, type Transfer } from "./all-or-nothing.ts";
import { type PlannedOperation, type RecordedChecker, RefusedError, type Workload } from "./workload.ts";

interface Tables {
  account: { owner: string; cents: number };
  leg: { transfer: string; owner: string; cents: number };
}

export interface BankOptions {
  /** Default 8. */
  readonly accounts?: number;
  /** Of the database, and of the servers that it runs on. Default 2. */
  readonly nodes?: number;
  /** Of each node. Default 1. */
  readonly replicas?: number;
  /**
   * Writes the two halves one after the other, without a decision: then a fault between them tears one. A harness
   * that cannot say so proves nothing.
   */
  readonly careless?: boolean;
  /** What else transfers money meanwhile, unrecorded, with ids that begin with `foreign-`. */
  readonly background?: (signal: AbortSignal) => Promise<void>;
}

const openingCents = 1_000;
export const foreignPrefix = "foreign-";

export type BankDatabase = Database<Tables>;

export function bankDatabase(nodes = 2, replicas = 1): BankDatabase {
  return database<Tables>("bank", {
    shards: { count: 4 },
    nodes,
    replicas,
    replication: { mode: "synchronous", onReplicaLoss: "stall" },
  });
}

export const ownerName = (index: number) => `owner-${index}`;

/** A transfer as one transaction. The lower owner first, so that two of them rarely lock each other. */
export async function transferTogether(db: BankDatabase, transfer: Transfer): Promise<void> {
  const halves = halvesOf(transfer);
  await db.together(
    halves.map(([owner]) => owner),
    async (txs: Together<Tables>) => {
      for (const [owner, cents] of halves) await half(txs.at(owner), transfer.id, owner, cents);
    },
  );
}

export function bank(options: BankOptions = {}): Workload {
  const { accounts = 8, nodes = 2, replicas = 1, careless = false, background } = options;
  const db = bankDatabase(nodes, replicas);
  const owners = Array.from({ length: accounts }, (_, index) => ownerName(index));
  /** Which shard each is on, as found when the bank was opened: plans are made outside of the world. */
  const shardOf = new Map<string, number>();
  /** Whatever else transfers money has stopped before the bank is read at rest. */
  const atRest = new AbortController();
  let others: Promise<void> | undefined;
  let planned = 0;

  return {
    name: careless ? "bank, careless" : "bank across shards",
    system: system("bank", { parts: { db } }),
    checkers: [shardsAlwaysFit, allOrNothing(accounts * openingCents, (id) => id.startsWith(foreignPrefix))],
    reads: ["audit", "read"],
    async prepare() {
      for (const owner of owners) shardOf.set(owner, db.at(owner).index);
      for (const shard of db.shards()) {
        await shard.write(async (tx) => {
          await sql`create table account (owner text primary key, cents int not null)`.execute(tx);
          await sql`create table leg (transfer text, owner text, cents int not null, primary key (transfer, owner))`.execute(
            tx,
          );
          const here = owners.filter((owner) => shardOf.get(owner) === shard.index);
          const rows = here.map((owner) => ({ owner, cents: openingCents }));
          if (rows.length > 0) await tx.insertInto("account").values(rows).execute();
        });
      }
    },
    plan(_client, random: Random): PlannedOperation {
      if (random.next() < 0.3) {
        const owner = owners[randomInt(random, accounts)] as string;
        return { f: "audit", key: `shard ${shardOf.get(owner)}`, value: owner };
      }
      const from = randomInt(random, accounts);
      const to = (from + 1 + randomInt(random, accounts - 1)) % accounts;
      const cents = 1 + randomInt(random, 20);
      const transfer: Transfer = { id: `t${++planned}`, from: ownerName(from), to: ownerName(to), cents };
      return { f: "transfer", value: transfer };
    },
    async perform({ f, value }) {
      if (f === "audit") return audit(db, value as string);
      if (f === "read") {
        atRest.abort();
        await others;
        return readAtRest(db);
      }
      const transfer = value as Transfer;
      if (!careless) await transferTogether(db, transfer);
      else {
        for (const [owner, cents] of halvesOf(transfer)) {
          await db.at(owner).write((tx) => half(tx, transfer.id, owner, cents));
        }
      }
      return value;
    },
    background: async (signal) => {
      others = background?.(AbortSignal.any([signal, atRest.signal]));
      await others;
    },
    conclude: () => [{ f: "read", value: null }],
  };
}

function halvesOf({ from, to, cents }: Transfer): readonly (readonly [owner: string, cents: number])[] {
  const halves = [[from, -cents] as const, [to, cents] as const];
  return halves.sort(([a], [b]) => (a < b ? -1 : 1));
}

async function half(tx: Transaction<Tables>, transfer: string, owner: string, cents: number): Promise<void> {
  await tx.insertInto("leg").values({ transfer, owner, cents }).execute();
  const changed = await tx
    .updateTable("account")
    .set((eb) => ({ cents: eb("cents", "+", cents) }))
    .where("owner", "=", owner)
    .where((eb) => eb(eb("cents", "+", cents), ">=", 0))
    .executeTakeFirst();
  if (changed.numUpdatedRows === 0n) throw new RefusedError(`${owner} has not that much`);
}

/** One statement, so one moment: what the accounts hold, and what came from elsewhere. */
async function audit(db: BankDatabase, owner: string): Promise<Readonly<Record<string, number>>> {
  return db.at(owner).read("strong", async (on) => {
    const { rows } = await sql<{ held: number; moved: number }>`select
      (select coalesce(sum(cents), 0)::int from account) as held,
      (select coalesce(sum(cents), 0)::int from leg) as moved`.execute(on);
    return { here: rows[0]?.held ?? 0, elsewhere: -(rows[0]?.moved ?? 0) };
  });
}

/** Once nothing is in doubt any more: recovery runs in every world. */
async function readAtRest(db: BankDatabase): Promise<BankAtRest> {
  const balances: Record<string, number> = {};
  const legs: Leg[] = [];
  for (const shard of db.shards()) {
    const prepared = () =>
      shard.read("strong", async (on) => {
        const { rows } = await sql<{ count: number }>`select count(*)::int as count from pg_prepared_xacts
          where database = current_database()`.execute(on);
        return rows[0]?.count ?? 0;
      });
    while ((await prepared()) > 0) await systemClock.sleep(100);
  }
  for (const shard of db.shards()) {
    await shard.read("strong", async (on) => {
      for (const { owner, cents } of await on.selectFrom("account").selectAll().execute())
        balances[owner] = cents;
      for (const leg of await on.selectFrom("leg").selectAll().execute())
        legs.push([leg.transfer, leg.owner, leg.cents]);
    });
  }
  return { balances, legs };
}

const shardsAlwaysFit: RecordedChecker = {
  name: "bank, each shard always",
  check: (operations) =>
    checkBank(
      operations.filter(({ f }) => f === "audit").map((operation) => ({ ...operation, f: "read" })),
      { negativeAllowed: true },
    ),
};
