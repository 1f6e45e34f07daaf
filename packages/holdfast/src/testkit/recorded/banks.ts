/**
 * Banks, each on one shard: money moves between the accounts of a bank in one transaction, and each read sees all of
 * a bank in one statement. None is made and none lost, whatever goes wrong and wherever the shard is.
 */
import { type Random, randomInt } from "../../clock/index.ts";
import { database, type ReadLevel, system } from "../../parts/index.ts";
import {
  checkersNamed,
  type PlannedOperation,
  type RecordedChecker,
  RefusedError,
  type Workload,
} from "./workload.ts";

interface Tables {
  account: { bank: string; name: string; balance: number };
}

interface Transfer {
  readonly from: string;
  readonly to: string;
  readonly amount: number;
}

export interface BanksOptions {
  /** Default 4: about one on each shard. */
  readonly banks?: number;
  /** Default `session`: a bank has its total in whatever state it is seen. */
  readonly level?: ReadLevel;
}

const accounts = ["a", "b", "c", "d"];
const balanceAtFirst = 100;

export function banks({ banks: count = 4, level = "session" }: BanksOptions = {}): Workload {
  const db = database<Tables>("banks", {
    migrations: new URL("./migrations/banks/", import.meta.url),
    shards: { count: 4 },
  });
  const names = Array.from({ length: count }, (_, index) => `bank-${index}`);
  const readAll = async (bank: string, how: ReadLevel) => {
    const rows = await db
      .at(bank)
      .read(how, (sql) =>
        sql.selectFrom("account").select(["name", "balance"]).where("bank", "=", bank).execute(),
      );
    return Object.fromEntries(rows.map(({ name, balance }) => [name, balance]));
  };
  const transfer = (bank: string, { from, to, amount }: Transfer) =>
    db.at(bank).write(async (tx) => {
      const taken = await tx
        .updateTable("account")
        .set((it) => ({ balance: it("balance", "-", amount) }))
        .where("bank", "=", bank)
        .where("name", "=", from)
        .where("balance", ">=", amount)
        .executeTakeFirst();
      if (taken.numUpdatedRows === 0n) throw new RefusedError(`${from} has less than ${amount}`);
      await tx
        .updateTable("account")
        .set((it) => ({ balance: it("balance", "+", amount) }))
        .where("bank", "=", bank)
        .where("name", "=", to)
        .execute();
    });
  return {
    name: `banks, ${level} reads`,
    system: system("banks", { parts: { db } }),
    checkers: [...checkersNamed("bank").map(exceptAudits), allTogether],
    reads: ["read"],
    async prepare() {
      for (const bank of names) {
        const rows = accounts.map((name) => ({ bank, name, balance: balanceAtFirst }));
        await db.at(bank).write((tx) => tx.insertInto("account").values(rows).execute());
      }
    },
    plan(_client, random: Random): PlannedOperation {
      const key = names[randomInt(random, names.length)];
      if (random.next() < 0.4) return { f: "read", key, value: null };
      const from = randomInt(random, accounts.length);
      const to = (from + 1 + randomInt(random, accounts.length - 1)) % accounts.length;
      const value = { from: accounts[from], to: accounts[to], amount: 1 + randomInt(random, 20) };
      return { f: "transfer", key, value };
    },
    async perform({ f, key, value }) {
      if (f === "read") return readAll(key as string, level);
      if (f === "audit") {
        // Everybody has stopped: what the banks hold together is what they held at first.
        const all = await Promise.all(names.map((name) => readAll(name, "strong")));
        const total = all.flatMap((bank) => Object.values(bank)).reduce((sum, balance) => sum + balance, 0);
        const expected = count * accounts.length * balanceAtFirst;
        return { total, expected };
      }
      await transfer(key as string, value as Transfer);
      return value;
    },
    conclude: () => [...names.map((key) => ({ f: "read", key, value: null })), { f: "audit", value: null }],
  };
}

function exceptAudits(checker: RecordedChecker): RecordedChecker {
  return {
    name: checker.name,
    check: (operations) => checker.check(operations.filter(({ f }) => f !== "audit")),
  };
}

/** At the end, when everybody has stopped, all banks hold together what they held at first. */
const allTogether: RecordedChecker = {
  name: "all banks together",
  check(operations) {
    const model = "all banks together";
    const audit = operations.findLast(({ f, outcome }) => f === "audit" && outcome === "ok");
    if (!audit)
      return { model, verdict: "unknown", reason: "nobody could add them up", witnesses: [], operations: 0 };
    const { total, expected } = audit.output as { total: number; expected: number };
    if (total === expected) return { model, verdict: "ok", witnesses: [], operations: 1 };
    const summary = `The banks hold ${total} together, and held ${expected} at first.`;
    const witness = { anomaly: "wrong-total", summary, steps: [], operations: [], edges: [] };
    return { model, verdict: "illegal", witnesses: [witness], operations: 1 };
  },
};
