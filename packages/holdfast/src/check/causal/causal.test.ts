import { describe, expect, test } from "vitest";
import { randomInt, seededRandom } from "../../clock/index.ts";
import { explainedByCausality } from "../fixtures/causal-twin.ts";
import { history } from "../fixtures/hand-made.ts";
import { findChecker } from "../registry.ts";

function verdictOf(model: string, lines: readonly string[]): string {
  return findChecker(model)?.check(history(...lines).operations).verdict ?? "no such model";
}

function anomalyOf(model: string, lines: readonly string[]): string | undefined {
  return findChecker(model)?.check(history(...lines).operations).witnesses[0]?.anomaly;
}

const concurrentWritesSeenBothWays = [
  "0 write x 1",
  "1 write x 2",
  "2 read x 1",
  "2 read x 2",
  "3 read x 2",
  "3 read x 1",
];

describe("each bad pattern is found", () => {
  test.each([
    ["ThinAirRead", "causal-weak", ["0 write x 1", "1 read x 7"]],
    ["WriteCOInitRead", "causal-weak", ["0 write x 1", "0 write y 2", "1 read y 2", "1 read x nil"]],
    ["WriteCORead", "causal-weak", ["0 write x 1", "0 write x 2", "0 write y 3", "1 read y 3", "1 read x 1"]],
    ["CyclicCO", "causal-weak", ["+0 read x 1", "1 read y 2", "1 write x 1", "-0", "0 write y 2"]],
    ["CyclicCF", "causal-convergence", concurrentWritesSeenBothWays],
    ["CyclicHB", "causal", ["0 write x 1", "1 write x 2", "2 read x 1", "2 read x 2", "2 read x 1"]],
    // What process 2 reads last proves that x 1 is older than x 2, so z 1 is older than y 2, which it had seen.
    [
      "WriteHBInitRead",
      "causal",
      [
        ...["0 write z 1", "0 write x 1", "0 write u 1", "1 write x 2", "1 write y 2"],
        ...["2 read y 2", "2 read z nil", "2 read u 1", "2 read x 2"],
      ],
    ],
  ] as const)("%s", (anomaly, model, lines) => {
    expect(verdictOf(model, lines)).toBe("illegal");
    expect(anomalyOf(model, lines)).toBe(anomaly);
  });

  test("concurrent writes may be seen both ways by causal memory, not when all have to agree", () => {
    expect(verdictOf("causal", concurrentWritesSeenBothWays)).toBe("ok");
    expect(verdictOf("causal-weak", concurrentWritesSeenBothWays)).toBe("ok");
    expect(verdictOf("causal-convergence", concurrentWritesSeenBothWays)).toBe("illegal");
  });
});

describe("each session guarantee alone", () => {
  const all = ["read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads"];
  test.each([
    ["read-your-writes", ["0 write x 1", "0 read x nil"]],
    ["monotonic-reads", ["0 write x 1", "1 write x 2", "2 read x 1", "2 read x 2", "2 read x 1"]],
    ["monotonic-writes", ["0 write x 1", "0 write y 2", "1 read y 2", "1 read x nil"]],
    ["writes-follow-reads", ["0 write x 1", "1 read x 1", "1 write y 2", "2 read y 2", "2 read x nil"]],
  ] as const)("%s", (broken, lines) => {
    for (const model of all)
      expect([model, verdictOf(model, lines)]).toEqual([model, model === broken ? "illegal" : "ok"]);
    expect(verdictOf("causal", lines)).toBe("illegal");
  });

  test("an older value of the same writer is going back, for reads and for writes", () => {
    const lines = ["0 write x 1", "0 write x 2", "1 read x 2", "1 read x 1"];
    expect(verdictOf("monotonic-reads", lines)).toBe("illegal");
    expect(verdictOf("monotonic-writes", lines)).toBe("illegal");
    expect(verdictOf("read-your-writes", lines)).toBe("ok");
  });

  test("a value that another process may have written later is not going back", () => {
    for (const model of all) expect(verdictOf(model, concurrentWritesSeenBothWays)).toBe("ok");
  });

  test("a write of unknown outcome that is read has happened; one that failed has not", () => {
    expect(verdictOf("causal", ["0 write x 1 info", "1 read x 1"])).toBe("ok");
    expect(verdictOf("causal", ["0 write x 1 fail", "1 read x 1"])).toBe("illegal");
  });
});

test("where a value was written twice, what cannot be told apart is unknown", () => {
  const twice = ["0 write x 1", "1 write x 1", "2 read x 1"];
  expect(verdictOf("causal", twice)).toBe("unknown");
  expect(findChecker("causal")?.check(history(...twice).operations).reason).toContain(
    "1 was written 2 times to x",
  );
  expect(verdictOf("causal", [...twice, "3 write y 5", "3 read y nil"])).toBe("illegal");
});

test("the patterns find what trying every order finds", { timeout: 60_000 }, () => {
  const seed = 1611;
  const random = seededRandom(seed);
  const found = { "causal-weak": 0, causal: 0, "causal-convergence": 0 };
  const rounds = 6_000;
  for (let round = 0; round < rounds; round++) {
    const lines = randomAccesses(random);
    const { operations } = history(...lines);
    for (const model of ["causal-weak", "causal", "causal-convergence"] as const) {
      const expected = explainedByCausality(operations, model) ? "ok" : "illegal";
      const verdict = verdictOf(model, lines);
      if (verdict !== expected)
        expect.fail(
          `seed ${seed}, round ${round}, ${model}: ${verdict}, expected ${expected}\n${lines.join("\n")}`,
        );
      if (expected === "illegal") found[model]++;
      else if (model === "causal") {
        for (const weaker of [
          "read-your-writes",
          "monotonic-reads",
          "monotonic-writes",
          "writes-follow-reads",
        ])
          expect([weaker, verdictOf(weaker, lines), lines]).toEqual([weaker, "ok", lines]);
      }
    }
  }
  console.log(`${rounds} histories against trying every order; illegal: ${JSON.stringify(found)}`);
  for (const count of Object.values(found)) expect(count).toBeGreaterThan(100);
});

function randomAccesses(random: ReturnType<typeof seededRandom>): string[] {
  const keys = ["x", "y"];
  const written: Record<string, number[]> = { x: [], y: [] };
  const reads: { at: number; key: string }[] = [];
  const lines: string[] = [];
  const count = 4 + randomInt(random, 4);
  for (let i = 0; i < count; i++) {
    const process = randomInt(random, 3);
    const key = keys[randomInt(random, 2)] as string;
    if (random.next() < 0.45) {
      written[key]?.push(i);
      lines.push(`${process} write ${key} ${i}`);
    } else {
      reads.push({ at: i, key });
      lines.push(`${process} read ${key}`);
    }
  }
  for (const { at, key } of reads) {
    const values = ["nil", ...(written[key] as number[])];
    lines[at] += ` ${values[randomInt(random, values.length)]}`;
  }
  return lines;
}
