import { describe, expect, test } from "vitest";
import { transactions } from "../fixtures/transactions.ts";
import { findChecker } from "../registry.ts";
import type { CheckResult } from "../verdict.ts";
import { checkTransactions } from "./check-transactions.ts";
import type { ConsistencyModel } from "./consistency-models.ts";

function judge(
  kind: "list-append" | "rw-register",
  consistency: ConsistencyModel,
  lines: readonly string[],
): CheckResult {
  return checkTransactions(kind, transactions(...lines), { consistency });
}

interface Case {
  readonly kind?: "rw-register";
  /** What cannot but come with it. */
  readonly also?: readonly string[];
  /** The weakest model that forbids it. */
  readonly model: ConsistencyModel;
  readonly illegal: readonly string[];
  /** The same, but for a detail. */
  readonly twin: readonly string[];
}

const byAnomaly: Readonly<Record<string, Case>> = {
  G0: {
    model: "read-uncommitted",
    illegal: ["+0 append x 1, append y 1", "+1 append x 2, append y 2", "-0", "-1", "2 r x [1 2], r y [2 1]"],
    twin: ["+0 append x 1, append y 1", "+1 append x 2, append y 2", "-0", "-1", "2 r x [1 2], r y [1 2]"],
  },
  G1a: {
    model: "read-committed",
    illegal: ["0 append x 1 fail", "1 r x [1]"],
    twin: ["0 append x 1 info", "1 r x [1]"],
  },
  G1b: {
    model: "read-committed",
    // Nobody saw the second append, but it committed: the reader missed it.
    also: ["G-single"],
    illegal: ["+0 append x 1, append x 2", "1 r x [1]", "-0"],
    twin: ["+0 append x 1, append x 2", "1 r x [1 2]", "-0"],
  },
  G1c: {
    model: "read-committed",
    illegal: ["+0 append x 1, r y [1]", "+1 append y 1, r x [1]", "-0", "-1"],
    twin: ["+0 append x 1, r y [1]", "+1 append y 1, r x []", "-0", "-1"],
  },
  "incompatible-order": {
    model: "read-committed",
    illegal: ["+0 append x 1", "+1 append x 2", "-0", "-1", "2 r x [1]", "3 r x [2 1]"],
    twin: ["+0 append x 1", "+1 append x 2", "-0", "-1", "2 r x [2 1]", "3 r x [2 1]"],
  },
  "duplicate-elements": {
    model: "read-uncommitted",
    illegal: ["0 append x 1", "1 r x [1 1]"],
    twin: ["0 append x 1", "1 r x [1]"],
  },
  "unwritten-read": {
    model: "read-uncommitted",
    illegal: ["0 append x 1", "1 r x [1 7]"],
    twin: ["0 append x 1", "0 append x 7", "1 r x [1 7]"],
  },
  "dirty-update": {
    model: "read-committed",
    also: ["G1a"],
    illegal: ["0 append x 1 fail", "1 append x 2", "2 r x [1 2]"],
    twin: ["0 append x 1 info", "1 append x 2", "2 r x [1 2]"],
  },
  internal: {
    model: "read-atomic",
    illegal: ["0 append x 1, r x []"],
    twin: ["0 append x 1, r x [1]"],
  },
  "future-read": {
    model: "read-committed",
    illegal: ["0 r x [1], append x 1"],
    twin: ["0 r x [], append x 1"],
  },
  "lost-update": {
    model: "cursor-stability",
    also: ["G2-item"],
    illegal: ["0 append x 1", "+0 r x [1], append x 2", "+1 r x [1], append x 3", "-0", "-1"],
    twin: ["0 append x 1", "+0 r x [1], append x 2", "+1 r x [1 2], append x 3", "-0", "-1"],
  },
  "G-single": {
    model: "consistent-view",
    illegal: ["+0 append x 1, append y 1", "+1 r x [1], r y []", "-0", "-1", "2 r y [1]"],
    twin: ["+0 append x 1, append y 1", "+1 r x [], r y []", "-0", "-1", "2 r y [1]"],
  },
  "G-nonadjacent": {
    model: "snapshot-isolation",
    // A long fork: two readers see two writers in different orders.
    illegal: [
      "+0 append x 1",
      "+1 append y 1",
      "+2 r x [1], r y []",
      "+3 r x [], r y [1]",
      "-0",
      "-1",
      "-2",
      "-3",
      "4 r x [1], r y [1]",
    ],
    twin: [
      "+0 append x 1",
      "+1 append y 1",
      "+2 r x [1], r y []",
      "+3 r x [1], r y [1]",
      "-0",
      "-1",
      "-2",
      "-3",
      "4 r x [1], r y [1]",
    ],
  },
  "G2-item": {
    model: "repeatable-read",
    // Write skew.
    illegal: ["+0 r x [], append y 1", "+1 r y [], append x 1", "-0", "-1", "2 r x [1], r y [1]"],
    twin: ["+0 r x [], append y 1", "+1 r y [1], append x 1", "-0", "-1", "2 r x [1], r y [1]"],
  },
  "G0-process": {
    model: "strong-session-read-uncommitted",
    illegal: ["0 append x 1", "0 append x 2", "1 r x [2 1]"],
    twin: ["0 append x 1", "0 append x 2", "1 r x [1 2]"],
  },
  "G1c-process": {
    model: "strong-session-read-committed",
    illegal: ["+1 append y 1, r x [1]", "0 r y [1]", "0 append x 1", "-1"],
    twin: ["+1 append y 1, r x []", "0 r y [1]", "0 append x 1", "-1"],
  },
  "G-single-process": {
    model: "strong-session-snapshot-isolation",
    illegal: ["0 append x 1", "0 r x []", "1 r x [1]"],
    twin: ["0 append x 1", "0 r x [1]", "1 r x [1]"],
  },
  "G-nonadjacent-process": {
    model: "strong-session-snapshot-isolation",
    illegal: ["+0 append x 1", "+1 append y 1", "-0", "-1", "+0 r y []", "+1 r x []", "-0", "-1"],
    twin: ["+0 append x 1", "+1 append y 1", "-0", "-1", "+0 r y [1]", "+1 r x [1]", "-0", "-1"],
  },
  "G2-item-process": {
    model: "strong-session-serializable",
    illegal: ["+1 append x 1, r y []", "0 append y 1", "0 r x []", "-1"],
    twin: ["+1 append x 1, r y []", "0 append y 1", "0 r x [1]", "-1"],
  },
  "G1c-realtime": {
    model: "strong-read-committed",
    illegal: ["+1 append y 1, r x [1]", "0 r y [1]", "2 append x 1", "-1"],
    twin: ["+1 append y 1, r x [1]", "+0 r y [1]", "2 append x 1", "-0", "-1"],
  },
  "G-nonadjacent-realtime": {
    model: "strong-snapshot-isolation",
    illegal: ["+3 r y [1], r x []", "+2 append y 1", "0 append x 1", "1 r y []", "-2", "-3"],
    twin: ["+3 r y [1], r x [1]", "+2 append y 1", "0 append x 1", "1 r y []", "-2", "-3"],
  },
  "G2-item-realtime": {
    model: "strict-serializable",
    illegal: ["+1 append x 1, r y []", "0 append y 1", "2 r x []", "-1"],
    twin: ["+1 append x 1, r y []", "0 append y 1", "2 r x [1]", "-1"],
  },
  "G0-realtime": {
    model: "strong-read-uncommitted",
    illegal: ["0 append x 1", "1 append x 2", "2 r x [2 1]"],
    twin: ["+0 append x 1", "1 append x 2", "-0", "2 r x [2 1]"],
  },
  "G-single-realtime": {
    model: "strong-snapshot-isolation",
    illegal: ["0 append x 1", "1 r x []", "2 r x [1]"],
    twin: ["+0 append x 1", "1 r x []", "-0", "2 r x [1]"],
  },
  "cyclic-versions": {
    kind: "rw-register",
    also: ["G1c"],
    model: "read-uncommitted",
    illegal: ["+0 r x 2, w x 1", "+1 r x 1, w x 2", "-0", "-1"],
    twin: ["+0 r x nil, w x 1", "+1 r x 1, w x 2", "-0", "-1"],
  },
};

const registers: Readonly<Record<string, Case>> = {
  G1a: { model: "read-committed", illegal: ["0 w x 1 fail", "1 r x 1"], twin: ["0 w x 1 info", "1 r x 1"] },
  G1b: {
    model: "read-committed",
    illegal: ["+0 w x 1, w x 2", "1 r x 1", "-0"],
    twin: ["+0 w x 1, w x 2", "1 r x 2", "-0"],
  },
  G1c: {
    model: "read-committed",
    illegal: ["+0 w x 1, r y 1", "+1 w y 1, r x 1", "-0", "-1"],
    twin: ["+0 w x 1, r y 1", "+1 w y 1, r x nil", "-0", "-1"],
  },
  internal: {
    model: "read-atomic",
    illegal: ["0 w x 1, r x 2", "1 w x 2"],
    twin: ["0 w x 1, r x 1", "1 w x 2"],
  },
  "unwritten-read": { model: "read-uncommitted", illegal: ["0 r x 7"], twin: ["0 r x nil"] },
  "future-read": { model: "read-committed", illegal: ["0 r x 1, w x 1"], twin: ["0 r x nil, w x 1"] },
  "lost-update": {
    model: "cursor-stability",
    also: ["G2-item"],
    illegal: ["+0 r x nil, w x 2", "+1 r x nil, w x 3", "-0", "-1"],
    twin: ["+0 r x nil, w x 2", "+1 r x 2, w x 3", "-0", "-1"],
  },
  "G-single": {
    model: "consistent-view",
    illegal: ["+0 w x 1, w y 1", "+1 r x 1, r y nil", "-0", "-1"],
    twin: ["+0 w x 1, w y 1", "+1 r x nil, r y nil", "-0", "-1"],
  },
  "G-nonadjacent": {
    model: "snapshot-isolation",
    illegal: ["+0 w x 1", "+1 w y 1", "+2 r x 1, r y nil", "+3 r x nil, r y 1", "-0", "-1", "-2", "-3"],
    twin: ["+0 w x 1", "+1 w y 1", "+2 r x 1, r y nil", "+3 r x 1, r y 1", "-0", "-1", "-2", "-3"],
  },
  "G2-item": {
    model: "repeatable-read",
    illegal: ["+0 r x nil, w y 1", "+1 r y nil, w x 1", "-0", "-1"],
    twin: ["+0 r x nil, w y 1", "+1 r y 1, w x 1", "-0", "-1"],
  },
};

const cases: readonly (readonly [string, Case])[] = [
  ...Object.entries(byAnomaly).map(([anomaly, each]) => [anomaly, each] as const),
  ...Object.entries(registers).map(
    ([anomaly, each]) => [anomaly, { ...each, kind: "rw-register" as const }] as const,
  ),
];

describe("each anomaly alone, and beside it what is fine", () => {
  test.each(cases)("%s %o", (anomaly, { kind = "list-append" as const, model, also = [], illegal, twin }) => {
    const found = judge(kind, model, illegal);
    expect(found.verdict).toBe("illegal");
    expect(Object.keys(found.consistency?.anomalies ?? {}).sort()).toEqual([anomaly, ...also].sort());
    expect(found.witnesses.map((witness) => witness.anomaly)).toContain(anomaly);
    expect(found.consistency?.not).toContain(model);
    expect(judge(kind, "strict-serializable", illegal).verdict).toBe("illegal");
    expect(judge(kind, "strict-serializable", twin)).toMatchObject({ verdict: "ok", witnesses: [] });
  });

  test("what a weaker model allows is named, and is not illegal by it", () => {
    const skew = ["+0 r x [], append y 1", "+1 r y [], append x 1", "-0", "-1"];
    expect(judge("list-append", "snapshot-isolation", skew)).toMatchObject({
      verdict: "ok",
      witnesses: [],
      consistency: { anomalies: { "G2-item": 1 }, not: ["repeatable-read"] },
    });
    expect(judge("list-append", "serializable", skew).witnesses[0]).toMatchObject({
      anomaly: "G2-item",
      steps: [
        "T1 is process 0: read x [], append y 1.",
        "T2 is process 1: read y [], append x 1.",
        "T1 has to come before T2 (rw): T1 read x while nothing was in it, and so before T2 wrote 1.",
        "T2 has to come before T1 (rw): T2 read y while nothing was in it, and so before T1 wrote 1.",
      ],
    });
  });
});

test("a graver circle of real time is not hidden by a milder one of the same transactions", () => {
  const lines = ["+0 r x [], append y 1", "-0", "1 r y [], append x 1"];
  expect(judge("list-append", "snapshot-isolation", lines).verdict).toBe("ok");
  expect(judge("list-append", "strong-snapshot-isolation", lines).witnesses[0]?.anomaly).toBe(
    "G-single-realtime",
  );
});

describe("registers of which more is known", () => {
  const lines = [
    "+9 w x 3",
    "0 w x 1",
    "0 w x 2",
    "+1 r x 2, r y nil",
    "+2 w y 1",
    "-1",
    "3 r x 1, r y 1",
    "-2",
    "-9",
  ];
  test("the order of processes orders the values of a key that is sequential", () => {
    const result = (keyOrder: "inferred" | "sequential" | "linearizable") =>
      checkTransactions("rw-register", transactions(...lines), { consistency: "serializable", keyOrder })
        .verdict;
    expect(result("inferred")).toBe("ok");
    expect(result("sequential")).toBe("illegal");
    expect(result("linearizable")).toBe("illegal");
  });
});

test("a value that was tried again after an abort is the one that was not aborted", () => {
  const again = ["0 append x 1 fail", "0 append x 1", "1 r x [1]"];
  expect(judge("list-append", "strict-serializable", again).verdict).toBe("ok");
  expect(judge("list-append", "strict-serializable", [...again, "2 r x []"]).verdict).toBe("illegal");
  expect(judge("rw-register", "serializable", ["0 w x 1", "1 w x 1 fail", "2 r x 1"]).verdict).toBe("ok");
  const onlyAborted = ["0 w x 1 fail", "1 w x 1 fail", "2 r x 1"];
  expect(judge("rw-register", "read-committed", onlyAborted).witnesses[0]?.anomaly).toBe("G1a");
});

test("a value that was written twice makes its key unclear, and the verdict unknown", () => {
  const twice = ["0 w x 1", "1 w x 1", "2 r x 1"];
  expect(judge("rw-register", "serializable", twice)).toMatchObject({ verdict: "unknown" });
  expect(judge("rw-register", "serializable", twice).reason).toContain("1 was written twice to x");
  expect(judge("rw-register", "serializable", [...twice, "3 w y 1 fail", "4 r y 1"]).verdict).toBe("illegal");
});

test("a spent budget is unknown, and says what to raise", () => {
  const result = checkTransactions("list-append", transactions("0 append x 1", "0 r x [1]"), {
    budget: { memoryBytes: 100 },
  });
  expect(result).toMatchObject({ verdict: "unknown", reason: expect.stringContaining("memoryBytes 100") });
});

test("what is not a transaction is refused, all of it at once, with the event", () => {
  const operations = transactions("0 append x nil", "1 w x 1", "2 r x 5");
  expect(
    findChecker("list-append")
      ?.problems?.(operations)
      .map(({ problem }) => problem),
  ).toEqual([
    "event 0 (txn): [append x nothing] writes nothing",
    'event 2 (txn): a micro-operation is ["r", key, value] or ["append", key, value], got [w x 1]',
    "event 4 (txn): a read of list-append answers with a list or nothing, got [r x 5]",
  ]);
});
