/**
 * Bounded staleness: a read that begins more than a bound after a write was acknowledged sees that write, or a
 * later one. Writes (`write`) end with the version that they made, reads (`read`) with the version that they saw;
 * versions of a key are counted up from 1 by the store, so their order needs no search.
 */
import type { Operation, Witness, WitnessOperation } from "../../check/index.ts";
import type { RecordedChecker } from "./workload.ts";

/** At most this many contradictions are told. */
const witnessesMax = 5;

export function boundedStaleness(boundMs: number): RecordedChecker {
  const name = `staleness of at most ${boundMs} ms`;
  return {
    name,
    check(operations) {
      const witnesses: Witness[] = [];
      for (const ofKey of byKey(operations).values()) {
        if (witnesses.length < witnessesMax) witnesses.push(...staleReads(ofKey, boundMs));
      }
      return {
        model: name,
        verdict: witnesses.length > 0 ? "illegal" : "ok",
        witnesses: witnesses.slice(0, witnessesMax),
        operations: operations.length,
      };
    },
  };
}

function staleReads(operations: readonly Operation[], boundMs: number): Witness[] {
  const done = operations.filter(({ outcome }) => outcome === "ok");
  const writes = done.filter(({ f }) => f === "write").sort((a, b) => a.returnNs - b.returnNs);
  const reads = done.filter(({ f }) => f === "read").sort((a, b) => a.callNs - b.callNs);
  const witnesses: Witness[] = [];
  let next = 0;
  let newest: Operation | undefined;
  for (const read of reads) {
    // What was acknowledged early enough to be seen by a read that begins now.
    for (
      let write = writes[next];
      write && write.returnNs + boundMs * 1e6 < read.callNs;
      write = writes[++next]
    ) {
      if (newest === undefined || version(write) > version(newest)) newest = write;
    }
    if (newest !== undefined && version(read) < version(newest)) witnesses.push(witness(newest, read));
  }
  return witnesses;
}

function version({ output }: Operation): number {
  return output as number;
}

function witness(write: Operation, read: Operation): Witness {
  const lateMs = Math.floor((read.callNs - write.returnNs) / 1e6);
  const key = String(read.key);
  return {
    anomaly: "stale-read",
    summary: `A read of ${key} saw version ${version(read)}, ${lateMs} ms after version ${version(write)} had been acknowledged.`,
    steps: [
      `process ${write.process} wrote version ${version(write)} of ${key}, acknowledged at ${seconds(write.returnNs)}`,
      `process ${read.process} began to read ${key} at ${seconds(read.callNs)}, and saw version ${version(read)}`,
    ],
    operations: [shown(write, "write"), shown(read, "read")],
    edges: [{ from: 0, to: 1, kind: "realtime", why: "the write had ended before the read began" }],
  };
}

function shown(operation: Operation, f: string): WitnessOperation {
  return {
    process: operation.process,
    label: `${f} ${operation.key} ${version(operation)}`,
    outcome: "ok",
    callIndex: operation.callIndex,
    startNs: operation.callNs,
    endNs: operation.returnNs,
    involved: true,
  };
}

function seconds(ns: number): string {
  return `${(ns / 1e9).toFixed(3)} s`;
}

function byKey(operations: readonly Operation[]): Map<unknown, Operation[]> {
  const groups = new Map<unknown, Operation[]>();
  for (const operation of operations) {
    const group = groups.get(operation.key);
    if (group) group.push(operation);
    else groups.set(operation.key, [operation]);
  }
  return groups;
}
