/**
 * Transactions that append to lists and read them, several lists of one shard at a time: what happened before
 * what can be read from the lists themselves.
 *
 * @see K. Kingsbury and P. Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations", 2020
 */
import { sql } from "kysely";
import { type Random, randomInt } from "../../clock/index.ts";
import type { ReplicationOptions } from "../../parts/database/index.ts";
import { database, system } from "../../parts/index.ts";
import {
  checkersNamed,
  type PlannedOperation,
  type RecordedChecker,
  UniqueValues,
  type Workload,
} from "./workload.ts";

interface Tables {
  list: { key: number; elements: number[] };
}

/** `["append", list, element]` or `["r", list, elements]`, as Elle has them. */
type MicroOperation = readonly ["append", number, number] | readonly ["r", number, readonly number[] | null];

const promised = {
  "read committed": "read-committed",
  "repeatable read": "snapshot-isolation",
  serializable: "serializable",
} as const;

export interface AppendsOptions {
  /** Default: what the isolation level promises. Repeatable read is snapshot isolation in Postgres. */
  readonly checkers?: readonly RecordedChecker[];
  /** Of the transactions. Default `read committed`, which is what `write` gives by itself. */
  readonly isolation?: keyof typeof promised;
  /** Groups of lists; a transaction stays in one, as it has to stay in one shard. Default 2. */
  readonly groups?: number;
  /** Lists of a group that are used at the same time. Default 3. */
  readonly lists?: number;
  /** Transactions on a group before new lists take the old ones' place. Default 60. */
  readonly transactionsPerRound?: number;
  /** Default: asynchronous. */
  readonly replication?: ReplicationOptions;
}

export function appends(options: AppendsOptions = {}): Workload {
  const {
    isolation = "read committed",
    groups = 2,
    lists = 3,
    transactionsPerRound = 60,
    replication = {},
  } = options;
  const { checkers = checkersNamed(promised[isolation]) } = options;
  const db = database<Tables>("lists", {
    migrations: new URL("./migrations/appends/", import.meta.url),
    shards: { count: 4 },
    replication,
  });
  const elements = new UniqueValues();
  let planned = 0;

  /** The numbers of a group's lists follow from its own, and it is the group that has a shard. */
  const listNumber = (group: number, round: number, index: number) =>
    (round * lists + index) * groups + group;

  return {
    name: `list-append, ${isolation}`,
    system: system("lists", { parts: { db } }),
    checkers,
    reads: [],
    prepare: async () => {}, // migrations make all of it
    plan(_client, random: Random): PlannedOperation {
      const group = randomInt(random, groups);
      const round = Math.floor(planned++ / (groups * transactionsPerRound));
      const value = Array.from({ length: 1 + randomInt(random, 4) }, (): MicroOperation => {
        const list = listNumber(group, round, randomInt(random, lists));
        return random.next() < 0.5 ? ["r", list, null] : ["append", list, elements.next()];
      });
      return { f: "txn", value };
    },
    perform({ value }) {
      const micros = value as readonly MicroOperation[];
      const group = (micros[0]?.[1] ?? 0) % groups;
      return db.at(`group-${group}`).write(
        async (tx) => {
          if (isolation !== "read committed") {
            await sql`set transaction isolation level ${sql.raw(isolation)}`.execute(tx);
          }
          const done: MicroOperation[] = [];
          for (const micro of micros) {
            const [f, list, element] = micro;
            if (f === "append") {
              await sql`insert into list values (${list}, array[${element}::int])
                on conflict (key) do update set elements = list.elements || excluded.elements`.execute(tx);
              done.push(micro);
            } else {
              const row = await tx
                .selectFrom("list")
                .select("elements")
                .where("key", "=", list)
                .executeTakeFirst();
              done.push(["r", list, row?.elements ?? []]);
            }
          }
          return done;
        },
        // The marker is a statement of its own, and the level has to be said before the first.
        { marker: isolation === "read committed" },
      );
    },
  };
}
