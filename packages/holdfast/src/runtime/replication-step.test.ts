import fc from "fast-check";
import { expect, test } from "vitest";
import {
  looksBeforeDegrading,
  nodeReplication,
  type ReplicationState,
  stepReplication,
} from "./replication-step.ts";

const after = (from: ReplicationState, policy: Parameters<typeof stepReplication>[1], ...looks: number[]) =>
  looks.reduce((state, streaming) => stepReplication(state, policy, streaming), from);

test("the strictest of a node's databases holds for it", () => {
  const asynchronous = { mode: "asynchronous" } as const;
  const of = (quorum: number, onReplicaLoss: "stall" | "degrade") =>
    ({ mode: "synchronous", quorum, onReplicaLoss }) as const;
  expect(nodeReplication([asynchronous])).toEqual({ quorum: 0, onReplicaLoss: "stall" });
  expect(nodeReplication([asynchronous, of(1, "degrade")])).toEqual({ quorum: 1, onReplicaLoss: "degrade" });
  expect(nodeReplication([of(2, "degrade"), of(1, "stall")])).toEqual({ quorum: 2, onReplicaLoss: "stall" });
});

test("where commits should rather wait, the quorum is never lowered", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.integer({ min: 0, max: 5 })), (quorum, looks) => {
      const policy = { quorum, onReplicaLoss: "stall" } as const;
      expect(after({ quorum, short: 0 }, policy, ...looks).quorum).toBe(quorum);
    }),
  );
});

test("where they should not, it is lowered to the replicas that are left, but not for a short absence", () => {
  const policy = { quorum: 2, onReplicaLoss: "degrade" } as const;
  const full = { quorum: 2, short: 0 };
  const absent = Array.from({ length: looksBeforeDegrading }, () => 1);
  expect(after(full, policy, ...absent.slice(1)).quorum).toBe(2);
  expect(after(full, policy, ...absent.slice(1), 2, ...absent.slice(1)).quorum).toBe(2);
  expect(after(full, policy, ...absent).quorum).toBe(1);
  expect(after(full, policy, ...absent.map(() => 0)).quorum).toBe(0);
});

test("it comes back with them at once, and never above what was declared", () => {
  const policy = { quorum: 2, onReplicaLoss: "degrade" } as const;
  expect(after({ quorum: 0, short: 0 }, policy, 1).quorum).toBe(1);
  expect(after({ quorum: 0, short: 0 }, policy, 5).quorum).toBe(2);
  expect(after({ quorum: 1, short: 2 }, policy, 2)).toEqual({ quorum: 2, short: 0 });
});

test("a commit never waits for more replicas than there were at some look since it could be answered", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 40 }), (looks) => {
      const policy = { quorum: 2, onReplicaLoss: "degrade" } as const;
      let state: ReplicationState = { quorum: 0, short: 0 };
      let unanswerable = 0;
      for (const streaming of looks) {
        state = stepReplication(state, policy, streaming);
        unanswerable = state.quorum > streaming ? unanswerable + 1 : 0;
        expect(unanswerable).toBeLessThan(looksBeforeDegrading);
      }
    }),
  );
});
