/**
 * Which isolation level prevents which anomaly: the cases of the Hermitage suite, written against the port, with two
 * or three writes in flight at once whose statements are interleaved step by step.
 *
 *   hermitageSuite({ name: "postgres", open: async () => ({ port, close }) });
 *
 * Each case is played at each level, and what happened is compared with `hermitageTable`, which is what
 * docs/isolation.md says. A write that the store refuses for its isolation is run again, as `write` promises; its
 * second run finds the others done, so that the case tells by its effects whether the anomaly was there.
 *
 * @see H. Berenson et al., "A Critique of ANSI SQL Isolation Levels", SIGMOD 1995
 * @see A. Adya, "Weak Consistency: A Generalized Theory and Optimistic Implementations", MIT, 1999
 * @see M. Kleppmann, Hermitage: the list of cases
 */
import { type Kysely, sql } from "kysely";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Isolation, isolations } from "./isolation.ts";
import type { AnyTables, DatabasePort } from "./port.ts";

/** What `open` makes on each shard before the suite runs. */
export const hermitageTables = "create table hermitage (id int primary key, value int not null);";

export interface HermitageOptions {
  readonly name: string;
  open(): Promise<{ readonly port: DatabasePort; close(): Promise<void> }>;
}

type Verdict = "prevented" | "possible";

/** By case and level, in the order of `isolations`. */
export const hermitageTable: Readonly<Record<string, readonly [Verdict, Verdict, Verdict]>> = {
  "G0: dirty write": ["prevented", "prevented", "prevented"],
  "G1a: aborted read": ["prevented", "prevented", "prevented"],
  "G1b: intermediate read": ["prevented", "prevented", "prevented"],
  "G1c: circular information flow": ["prevented", "prevented", "prevented"],
  "OTV: observed transaction vanishes": ["prevented", "prevented", "prevented"],
  "PMP: predicate read sees two states": ["possible", "prevented", "prevented"],
  "PMP: predicate write misses rows": ["possible", "prevented", "prevented"],
  "P4: lost update": ["possible", "prevented", "prevented"],
  "G-single: read skew": ["possible", "prevented", "prevented"],
  "G-single: read skew, by predicate": ["possible", "prevented", "prevented"],
  "G-single: read skew, then a write by predicate": ["possible", "prevented", "prevented"],
  "G2-item: write skew": ["possible", "possible", "prevented"],
  "G2: write skew, by predicate": ["possible", "possible", "prevented"],
  "G2: a reader between two writers": ["possible", "possible", "prevented"],
};

/** One write of a case: its statements run when the case says so. */
interface Player {
  /** Resolves with the rows; waits with the statement, when that waits for a lock. */
  run(statement: string): Promise<readonly Row[]>;
  /** Ends it. Resolves with how often it ran in all; 0 for one that threw. */
  commit(): Promise<number>;
  rollback(): Promise<void>;
}

interface Row {
  readonly id: number;
  readonly value: number;
}

interface Stage {
  /** @param again what it does when it is run again, with nobody in between */
  begin(again?: (tx: Kysely<AnyTables>) => Promise<void>): Player;
  /** Resolves once a statement of these writes waits for a lock. */
  waiting(count?: number): Promise<void>;
  rows(): Promise<string>;
}

const all = "select id, value from hermitage order by id";
const values = (rows: readonly Row[]) => rows.map(({ id, value }) => `${id}:${value}`).join(" ");
const set = (id: number, value: number) => `update hermitage set value = ${value} where id = ${id}`;

/** @returns whether the anomaly was seen */
type Case = (stage: Stage) => Promise<boolean>;

const cases: Readonly<Record<keyof typeof hermitageTable, Case>> = {
  "G0: dirty write": async ({ begin, waiting, rows }) => {
    const again = async (tx: Kysely<AnyTables>) => {
      await sql.raw(set(1, 12)).execute(tx);
      await sql.raw(set(2, 22)).execute(tx);
    };
    const [one, two] = [begin(), begin(again)];
    await one.run(set(1, 11));
    const blocked = two.run(set(1, 12));
    await waiting();
    await one.run(set(2, 21));
    await one.commit();
    if (await succeeded(blocked)) await two.run(set(2, 22));
    await two.commit();
    // Of one writer both, whoever was last.
    return !["1:12 2:22", "1:11 2:21"].includes(await rows());
  },

  "G1a: aborted read": async ({ begin }) => {
    const [one, two] = [begin(), begin()];
    await one.run(set(1, 101));
    const before = values(await two.run(all));
    await one.rollback();
    const after = values(await two.run(all));
    await two.commit();
    return before !== "1:10 2:20" || after !== "1:10 2:20";
  },

  "G1b: intermediate read": async ({ begin }) => {
    const [one, two] = [begin(), begin()];
    await one.run(set(1, 101));
    const seen = [values(await two.run(all))];
    await one.run(set(1, 11));
    await one.commit();
    seen.push(values(await two.run(all)));
    await two.commit();
    return seen.some((state) => state.includes("101"));
  },

  "G1c: circular information flow": async ({ begin }) => {
    // What they see is told by their first run; one that is run again sees the other's end, which is no circle.
    const [one, two] = [begin(noop), begin(noop)];
    await one.run(set(1, 11));
    await two.run(set(2, 22));
    const [byOne, byTwo] = [values(await one.run(all)), values(await two.run(all))];
    await one.commit();
    await two.commit();
    return byOne.includes("2:22") && byTwo.includes("1:11");
  },

  "OTV: observed transaction vanishes": async ({ begin, waiting }) => {
    const [one, two, three] = [begin(), begin(noop), begin()];
    await one.run(set(1, 11));
    await one.run(set(2, 19));
    const blocked = two.run(set(1, 12));
    await waiting();
    await one.commit();
    const first = values(await three.run("select id, value from hermitage where id = 1"));
    if (await succeeded(blocked)) await two.run(set(2, 18));
    const second = values(await three.run("select id, value from hermitage where id = 2"));
    await two.commit();
    const third = values(await three.run(all));
    await three.commit();
    // Having seen what the first wrote, it never sees what was before that, nor half of the second.
    if (!first.includes("11")) return second !== "2:20" || third !== "1:10 2:20";
    return second !== "2:19" || !["1:11 2:19", "1:12 2:18"].includes(third);
  },

  "PMP: predicate read sees two states": async ({ begin }) => {
    const [one, two] = [begin(), begin()];
    const before = await one.run("select id, value from hermitage where value = 30");
    await two.run("insert into hermitage values (3, 30)");
    await two.commit();
    const after = await one.run("select id, value from hermitage where value % 3 = 0");
    await one.commit();
    return before.length !== after.length;
  },

  "PMP: predicate write misses rows": async ({ begin, waiting, rows }) => {
    const [one, two] = [
      begin(),
      begin(async (tx) => {
        await sql.raw("delete from hermitage where value = 20").execute(tx);
      }),
    ];
    await one.run("update hermitage set value = value + 10");
    const blocked = two.run("delete from hermitage where value = 20");
    await waiting();
    await one.commit();
    await succeeded(blocked);
    await two.commit();
    // One row has 20, before and after the first: a delete that fits any order finds it.
    return (await rows()) === "1:20 2:30";
  },

  "P4: lost update": async ({ begin, waiting, rows }) => {
    const add = async (tx: Kysely<AnyTables>) => {
      const { rows: found } = await sql<Row>`select id, value from hermitage where id = 1`.execute(tx);
      await sql.raw(set(1, (found[0]?.value ?? 0) + 1)).execute(tx);
    };
    const [one, two] = [begin(add), begin(add)];
    await one.run(all);
    await two.run(all);
    await one.run(set(1, 11));
    const blocked = two.run(set(1, 11));
    await waiting();
    await one.commit();
    await succeeded(blocked);
    await two.commit();
    // Two added one each to 10.
    return (await rows()) !== "1:12 2:20";
  },

  "G-single: read skew": async ({ begin }) => {
    const [one, two] = [begin(), begin()];
    const first = values(await one.run("select id, value from hermitage where id = 1"));
    await two.run(set(1, 12));
    await two.run(set(2, 18));
    await two.commit();
    const second = values(await one.run("select id, value from hermitage where id = 2"));
    await one.commit();
    return first === "1:10" && second === "2:18";
  },

  "G-single: read skew, by predicate": async ({ begin }) => {
    const [one, two] = [begin(), begin()];
    await one.run("select id, value from hermitage where value % 5 = 0");
    await two.run("update hermitage set value = 12 where value = 10");
    await two.commit();
    const later = await one.run("select id, value from hermitage where value % 3 = 0");
    await one.commit();
    return later.length > 0;
  },

  "G-single: read skew, then a write by predicate": async ({ begin, rows }) => {
    const first = async (tx: Kysely<AnyTables>) => {
      const { rows: seen } = await sql<Row>`select id, value from hermitage where id = 1`.execute(tx);
      if (seen[0]?.value === 10) await sql.raw("delete from hermitage where value = 20").execute(tx);
    };
    const [one, two] = [begin(first), begin()];
    await one.run("select id, value from hermitage where id = 1");
    await two.run(set(1, 12));
    await two.run(set(2, 18));
    await two.run("insert into hermitage values (3, 20)");
    await two.commit();
    // It saw 10, so it deletes what has 20: before the second that is row 2, and row 3 is of another state.
    await succeeded(one.run("delete from hermitage where value = 20"));
    await one.commit();
    return (await rows()) === "1:12 2:18";
  },

  "G2-item: write skew": async ({ begin, rows }) => {
    // Of the two, one at most may be lowered.
    const lower = (id: number) => async (tx: Kysely<AnyTables>) => {
      const { rows: seen } = await sql<Row>`select id, value from hermitage`.execute(tx);
      if (seen.every(({ value }) => value > 0)) await sql.raw(set(id, -1)).execute(tx);
    };
    const [one, two] = [begin(lower(1)), begin(lower(2))];
    await one.run(all);
    await two.run(all);
    await one.run(set(1, -1));
    await succeeded(two.run(set(2, -1)));
    await one.commit();
    await two.commit();
    return (await rows()) === "1:-1 2:-1";
  },

  "G2: write skew, by predicate": async ({ begin, rows }) => {
    // A row with a multiple of three may be added when there is none.
    const addOne = (id: number) => async (tx: Kysely<AnyTables>) => {
      const { rows: seen } = await sql<Row>`select id, value from hermitage where value % 3 = 0`.execute(tx);
      if (seen.length === 0) await sql.raw(`insert into hermitage values (${id}, ${id * 3})`).execute(tx);
    };
    const [one, two] = [begin(addOne(3)), begin(addOne(4))];
    await one.run("select id, value from hermitage where value % 3 = 0");
    await two.run("select id, value from hermitage where value % 3 = 0");
    await one.run("insert into hermitage values (3, 9)");
    await succeeded(two.run("insert into hermitage values (4, 12)"));
    await one.commit();
    await two.commit();
    return (await rows()) === "1:10 2:20 3:9 4:12";
  },

  "G2: a reader between two writers": async ({ begin, rows }) => {
    // The batch counts what it saw; the reader sees a batch that is closed, and one more row than it counted.
    const [one, two] = [
      begin(async (tx) => {
        await sql.raw("insert into hermitage select 4, count(*) from hermitage").execute(tx);
      }),
      begin(),
    ];
    const counted = (await one.run(all)).length;
    await two.run(set(2, 25));
    await two.commit();
    // Its snapshot is of its BEGIN, so that begins now.
    const three = begin();
    const seen = values(await three.run(all));
    await three.commit();
    await succeeded(one.run(set(1, counted * 100)));
    await one.commit();
    // In any order the first comes before the second (it saw 20), and the reader, after the second, sees its write.
    return seen === "1:10 2:25" && (await rows()) === "1:200 2:25";
  },
};

async function noop(): Promise<void> {}

async function succeeded(statement: Promise<unknown>): Promise<boolean> {
  return statement.then(
    () => true,
    () => false,
  );
}

export function hermitageSuite({ name, open }: HermitageOptions): void {
  describe(`isolation on ${name}`, () => {
    let port: DatabasePort;
    let close: () => Promise<void>;
    beforeAll(async () => {
      ({ port, close } = await open());
    });
    afterAll(() => close());
    beforeEach(async () => {
      await port.write(
        0,
        async (tx) => {
          await sql`delete from hermitage`.execute(tx);
          await sql`insert into hermitage values (1, 10), (2, 20)`.execute(tx);
        },
        {},
      );
    });

    for (const [index, isolation] of isolations.entries()) {
      describe(isolation, () => {
        test.each(Object.keys(cases))("%s", async (title) => {
          const seen = await (cases[title] as Case)(stageOf(port, isolation));
          expect(seen ? "possible" : "prevented").toBe(hermitageTable[title]?.[index]);
        });
      });
    }
  });
}

class RolledBack extends Error {}

function stageOf(port: DatabasePort, isolation: Isolation): Stage {
  return {
    begin: (again) => player(port, isolation, again),
    rows: () =>
      port.read(0, "strong", async (db) => values((await sql<Row>`${sql.raw(all)}`.execute(db)).rows)),
    waiting: async (count = 1) => {
      for (;;) {
        const { rows } = await port.read(0, "strong", (db) =>
          sql<{
            n: number;
          }>`select count(*)::int as n from pg_locks where not granted and locktype in ('transactionid', 'tuple')
            and pid in (select pid from pg_stat_activity where datname = current_database())`.execute(db),
        );
        if ((rows[0]?.n ?? 0) >= count) return;
      }
    },
  };
}

/** A write whose first run does what it is told, statement by statement, and whose further runs do `again`. */
function player(
  port: DatabasePort,
  isolation: Isolation,
  again: ((tx: Kysely<AnyTables>) => Promise<void>) | undefined,
): Player {
  const started = Promise.withResolvers<Kysely<AnyTables>>();
  const end = Promise.withResolvers<void>();
  end.promise.catch(() => {});
  let runs = 0;
  let failure: unknown;
  const written = port.write(
    0,
    async (tx) => {
      runs++;
      if (runs > 1) {
        if (!again) throw new Error("this write should have needed one run only");
        await again(tx);
        return;
      }
      started.resolve(tx);
      await end.promise;
      if (failure) throw failure;
    },
    { isolation },
  );
  written.catch(started.reject);
  return {
    run(statement) {
      const answer = started.promise.then(async (tx) => {
        try {
          return (await sql<Row>`${sql.raw(statement)}`.execute(tx)).rows;
        } catch (error) {
          failure = error;
          throw error;
        }
      });
      // One that waits for a lock is looked at only later.
      answer.catch(() => {});
      return answer;
    },
    async commit() {
      end.resolve();
      await written;
      return runs;
    },
    async rollback() {
      end.reject(new RolledBack());
      await written.catch((error: unknown) => {
        if (!(error instanceof RolledBack)) throw error;
      });
    },
  };
}
