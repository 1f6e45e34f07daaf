import { expect, test } from "vitest";
import { database } from "./declare.ts";
import { majorityQuorum, type ReplicationOptions } from "./replication-options.ts";

const problemsOf = (replicas: number, replication: ReplicationOptions): string[] => {
  try {
    database("links", { replicas, replication });
  } catch (error) {
    return (error as { data: { problems: string[] } }).data.problems;
  }
  return [];
};

test("commits wait for nobody unless it is declared, and for a majority when no number is", () => {
  expect(database("links").options.replication).toEqual({ mode: "asynchronous" });
  const declared = database("links", { replicas: 3, replication: { mode: "synchronous" } });
  expect(declared.options.replication).toEqual({ mode: "synchronous", quorum: 2, onReplicaLoss: "stall" });
  // With the primary: 2 of 2, 2 of 3, 3 of 4, 3 of 5, 4 of 6.
  expect([1, 2, 3, 4, 5].map(majorityQuorum)).toEqual([1, 1, 2, 2, 3]);
});

test("where one lost replica is one too many, what happens then has to be said", () => {
  const synchronous = { mode: "synchronous" } as const;
  expect(problemsOf(1, synchronous)).toEqual([
    expect.stringMatching(/^replication\.onReplicaLoss has to be said, because losing one of 1 replica /),
  ]);
  expect(problemsOf(2, { ...synchronous, quorum: 2 })).toEqual([expect.stringContaining("losing one of 2")]);
  for (const onReplicaLoss of ["stall", "degrade"] as const)
    expect(problemsOf(1, { ...synchronous, onReplicaLoss })).toEqual([]);
  expect(problemsOf(2, synchronous)).toEqual([]);
});

test("what does not fit together is refused, all of it at once", () => {
  expect(problemsOf(0, { mode: "synchronous" })).toEqual([
    'replication.mode "synchronous" needs replicas of 1 or more, got 0',
  ]);
  expect(problemsOf(2, { mode: "synchronous", quorum: 3 })).toEqual([
    "replication.quorum should be a whole number from 1 to the number of replicas (2), got 3",
  ]);
  expect(problemsOf(2, { quorum: 1, onReplicaLoss: "stall" })).toEqual([
    'replication.quorum is for mode "synchronous": say so, or leave it out',
    'replication.onReplicaLoss is for mode "synchronous": say so, or leave it out',
  ]);
  expect(problemsOf(2, { mode: "both" as never, onReplicaLoss: "panic" as never })).toEqual([
    'replication.mode should be asynchronous or synchronous, got "both"',
    'replication.onReplicaLoss should be stall or degrade, got "panic"',
    'replication.onReplicaLoss is for mode "synchronous": say so, or leave it out',
  ]);
});
