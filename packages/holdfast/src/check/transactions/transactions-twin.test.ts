import { expect, test } from "vitest";
import { type Random, randomInt, seededRandom } from "../../clock/index.ts";
import { type EngineOptions, type RawMicro, runEngine, transactions } from "../fixtures/transactions.ts";
import { explainedBySerialOrder } from "../fixtures/transactions-twin.ts";
import type { Operation } from "../history/event.ts";
import { checkTransactions } from "./check-transactions.ts";

const kinds = [
  ["list-append", "append"],
  ["rw-register", "w"],
] as const;

function engine(
  kind: "append" | "w",
  isolation: EngineOptions["isolation"],
  size: Partial<EngineOptions> = {},
) {
  return {
    kind,
    isolation,
    transactions: 60,
    processes: 6,
    keys: 4,
    microsMax: 4,
    unknownPercent: 5,
    ...size,
  };
}

test.each(kinds)("%s: what a serial database does is strictly serializable", (model, kind) => {
  const random = seededRandom(2020);
  for (let round = 0; round < 300; round++) {
    const result = checkTransactions(model, runEngine(engine(kind, "serial"), random));
    expect([round, result.verdict, result.witnesses]).toEqual([round, "ok", []]);
  }
});

test.each(kinds)("%s: a snapshot-isolated database is that, and not serializable", (model, kind) => {
  const random = seededRandom(1995);
  let skews = 0;
  for (let round = 0; round < 300; round++) {
    const operations = runEngine(engine(kind, "snapshot"), random);
    for (const consistency of ["snapshot-isolation", "strong-snapshot-isolation"]) {
      const result = checkTransactions(model, operations, { consistency });
      expect([round, result.verdict, result.witnesses]).toEqual([round, "ok", []]);
    }
    if (checkTransactions(model, operations, { consistency: "serializable" }).verdict === "illegal") skews++;
  }
  expect(skews).toBeGreaterThan(30);
});

test.each(kinds)(
  "%s: never a false alarm against trying every order",
  { timeout: 600_000 },
  (model, kind) => {
    const rounds = process.env.HOLDFAST_DEEP === "1" ? 55_000 : 10_000;
    const seed = 55_000;
    const random = seededRandom(seed);
    const counts = { illegal: 0, missed: 0, wrong: 0 };
    for (let round = 0; round < rounds; round++) {
      const size = {
        transactions: 2 + randomInt(random, 4),
        processes: 3,
        keys: 2,
        microsMax: 3,
        unknownPercent: 15,
      };
      const made = runEngine(engine(kind, random.next() < 0.5 ? "serial" : "snapshot", size), random);
      const operations = random.next() < 0.7 ? withOneReadChanged(made, random) : made;
      for (const consistency of ["serializable", "strict-serializable"]) {
        const explained = explainedBySerialOrder(operations, consistency === "strict-serializable");
        const { verdict, witnesses } = checkTransactions(model, operations, { consistency });
        if (verdict === "illegal") counts.illegal++;
        if (!explained) counts.wrong++;
        if (!explained && verdict === "ok") counts.missed++;
        if (explained)
          expect([seed, round, consistency, verdict, witnesses]).toEqual([
            seed,
            round,
            consistency,
            "ok",
            [],
          ]);
      }
    }
    console.info(
      `${model}: ${rounds} small histories, each by two models: ${counts.wrong} not explained by any order, ${counts.illegal} found, ${counts.missed} missed.`,
    );
    expect(counts.illegal).toBeGreaterThan(rounds / 10);
    expect(counts.illegal + counts.missed).toBe(counts.wrong);
  },
);

/** One read answers with a version that it should not have seen. */
function withOneReadChanged(operations: readonly Operation[], random: Random): readonly Operation[] {
  const reads = operations.flatMap(({ outcome, output }, at) =>
    outcome === "ok"
      ? (output as RawMicro[]).flatMap(([word], micro) => (word === "r" ? [{ at, micro }] : []))
      : [],
  );
  const chosen = reads[randomInt(random, Math.max(1, reads.length))];
  if (!chosen) return operations;
  return operations.map((operation, at) => {
    if (at !== chosen.at) return operation;
    const output = (operation.output as RawMicro[]).map(([word, key, value], micro): RawMicro => {
      if (micro !== chosen.micro) return [word, key, value];
      return [word, key, changed(value, operations, key, random)];
    });
    return { ...operation, output };
  });
}

function changed(value: unknown, operations: readonly Operation[], key: string, random: Random): unknown {
  const written = operations.flatMap(({ input }) =>
    (input as RawMicro[]).flatMap(([word, of, element]) => (word !== "r" && of === key ? [element] : [])),
  );
  const any = written[randomInt(random, Math.max(1, written.length))];
  if (!Array.isArray(value) && value !== null) return random.next() < 0.3 ? null : any;
  if (operations.some(({ input }) => (input as RawMicro[]).some(([word]) => word === "w"))) return any;
  const list = (value ?? []) as readonly unknown[];
  return random.next() < 0.6 && list.length > 0 ? list.slice(0, -1) : [...list, any];
}

test("a circle as long as the history is found, without recursion", { timeout: 60_000 }, () => {
  const length = 30_000;
  const lines = Array.from({ length }, (_, n) => `+${n} append k${n} 1, r k${(n + 1) % length} [1]`);
  const ends = Array.from({ length }, (_, n) => `-${n}`);
  const result = checkTransactions("list-append", transactions(...lines, ...ends), {
    consistency: "read-committed",
  });
  expect(result.witnesses[0]).toMatchObject({ anomaly: "G1c" });
  expect(result.witnesses[0]?.edges.length).toBe(length);
});
