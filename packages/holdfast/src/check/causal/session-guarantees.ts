/**
 * What a client may expect of its own session, each guarantee on its own. A write counts as older than another when
 * the same process wrote it first, or when reads prove it; between writes of different processes nothing else is
 * taken for granted, so whoever is causal keeps all four.
 *
 * @see D. Terry et al., "Session Guarantees for Weakly Consistent Replicated Data", 1994
 */
import type { BudgetMeter } from "../budget.ts";
import type { Checker } from "../checker.ts";
import type { Witness } from "../verdict.ts";
import { CausalOrder, tick } from "./causal-order.ts";
import { patternChecker } from "./check-causal.ts";
import { accessWitness, accessWords, type Step } from "./path.ts";
import { type Access, lastBefore, type RegisterHistory } from "./register-history.ts";

/** Of each session and key, the last own write comes before a read: the read must not show an older one. */
function readYourWrites(history: RegisterHistory, meter: BudgetMeter): Witness[] {
  for (const session of history.sessions) {
    const own = new Map<number, Access>();
    for (const access of session) {
      tick(meter);
      if (access.kind === "write") {
        own.set(access.key, access);
        continue;
      }
      const write = own.get(access.key);
      if (!write || !isOlder(history, access.source, write)) continue;
      const summary = `Process ${access.operation.process} did not read its own write: ${accessWords(write)}, then ${accessWords(access)}.`;
      return [
        accessWitness(
          history,
          "read-your-writes",
          summary,
          [inSession(write, access)],
          sourceOf(history, access),
        ),
      ];
    }
  }
  return [];
}

/** Of each session and key, what was read before must not be followed by an older value. */
function monotonicReads(history: RegisterHistory, meter: BudgetMeter): Witness[] {
  for (const session of history.sessions) {
    const last = new Map<number, Access>();
    /** By key: the writes that a later read has moved on from, each with the read that showed it. */
    const left = new Map<number, Map<number, Access>>();
    for (const read of session) {
      if (read.kind !== "read") continue;
      tick(meter);
      const before = last.get(read.key);
      last.set(read.key, read);
      if (!before || before.source === read.source) continue;
      const gone = left.get(read.key) ?? new Map<number, Access>();
      left.set(read.key, gone.set(before.source, before));
      const newer = [...gone.values()].find(
        ({ source }) => source >= 0 && isOlder(history, read.source, history.accesses[source] as Access),
      );
      const again = gone.get(read.source);
      if (!newer && !again) continue;
      const seen = newer ? [newer] : [again as Access, before];
      const summary = `Process ${read.operation.process} went back in time: ${[...seen, read].map(accessWords).join(", then ")}.`;
      return [
        accessWitness(history, "monotonic-reads", summary, inRow([...seen, read]), sourceOf(history, read)),
      ];
    }
  }
  return [];
}

/** Who has seen a write of a process has seen all that this process wrote before. */
function monotonicWrites(history: RegisterHistory, meter: BudgetMeter): Witness[] {
  const { accesses, sessions, writes } = history;
  for (const session of sessions) {
    const seen = new Map<number, { write: Access; by: Access }>();
    for (const read of session) {
      if (read.kind !== "read") continue;
      tick(meter);
      for (const { write, by } of seen.values()) {
        const missed = lastBefore(writes[read.key]?.[write.session] ?? [], write.place + 1);
        if (!missed || !isOlder(history, read.source, missed)) continue;
        const summary = `Process ${read.operation.process} saw writes of process ${write.operation.process} out of order: it had seen ${accessWords(write)}, but not ${accessWords(missed)}.`;
        const steps = [
          ...(missed === write ? [] : [inSession(missed, write)]),
          { from: write.id, to: by.id, kind: "wr", why: `process ${by.operation.process} read it` },
          inSession(by, read),
        ];
        return [accessWitness(history, "monotonic-writes", summary, steps)];
      }
      if (read.source < 0) continue;
      const write = accesses[read.source] as Access;
      const known = seen.get(write.session);
      if (!known || known.write.place < write.place) seen.set(write.session, { write, by: read });
    }
  }
  return [];
}

/** Who has seen a write has seen what its writer had read before it wrote. */
function writesFollowReads(history: RegisterHistory, meter: BudgetMeter): Witness[] {
  const { accesses, sessions } = history;
  const order = new CausalOrder(history, meter);
  if (order.cyclic.length > 0) return [];
  const reads = readsByKey(history);
  for (const session of sessions) {
    /** By session: the furthest of its accesses that what was read so far depends on, and through which write. */
    const depends = new Map<number, { place: number; write: Access; by: Access }>();
    for (const read of session) {
      if (read.kind !== "read") continue;
      tick(meter);
      for (const [other, { place, write, by }] of depends) {
        const earlier = lastBefore(reads[read.key]?.[other] ?? [], place);
        if (!earlier || earlier.source < 0 || earlier.session === read.session) continue;
        const missed = accesses[earlier.source] as Access;
        if (read.source === missed.id || !isOlder(history, read.source, missed)) continue;
        const summary = `Process ${read.operation.process} saw ${accessWords(write)}, but not ${accessWords(missed)}, which its writer had read before.`;
        const steps: Step[] = [
          {
            from: missed.id,
            to: earlier.id,
            kind: "wr",
            why: `process ${earlier.operation.process} read it`,
          },
          { from: earlier.id, to: write.id, kind: "process", why: "and wrote after that" },
          { from: write.id, to: by.id, kind: "wr", why: `process ${by.operation.process} read that` },
          inSession(by, read),
        ];
        return [accessWitness(history, "writes-follow-reads", summary, steps)];
      }
      if (read.source < 0) continue;
      const write = accesses[read.source] as Access;
      const known = depends.get(write.session);
      if (write.session !== read.session && (!known || known.place < write.place))
        depends.set(write.session, { place: write.place, write, by: read });
    }
  }
  return [];
}

/** Whether the write `source` (-1: the beginning) is certainly older than `write`. */
function isOlder({ accesses, sessions }: RegisterHistory, source: number, write: Access): boolean {
  if (source < 0) return true;
  const read = accesses[source] as Access;
  if (read.id === write.id) return false;
  if (read.session === write.session) return read.place < write.place;
  // A compare-and-set that found it and replaced it is newer: its read is right before its write.
  const found = sessions[write.session]?.[write.place - 1];
  return found?.operation === write.operation && found.source === source;
}

function readsByKey({ accesses, sessions, writes }: RegisterHistory): Access[][][] {
  const reads: Access[][][] = writes.map(() => sessions.map(() => []));
  for (const access of accesses)
    if (access.kind === "read") reads[access.key]?.[access.session]?.push(access);
  return reads;
}

function sourceOf({ accesses }: RegisterHistory, { source }: Access): Access[] {
  return source < 0 ? [] : [accesses[source] as Access];
}

function inSession(a: Access, b: Access): Step {
  return {
    from: a.id,
    to: b.id,
    kind: "process",
    why: `process ${a.operation.process} did one after the other`,
  };
}

function inRow(row: readonly Access[]): Step[] {
  return row.slice(1).map((access, i) => inSession(row[i] as Access, access));
}

export const sessionCheckers: readonly Checker[] = [
  patternChecker(
    "read-your-writes",
    "session",
    "A process that wrote does not read anything older than its own write.",
    readYourWrites,
  ),
  patternChecker(
    "monotonic-reads",
    "session",
    "A process that has read a value does not read an older one later.",
    monotonicReads,
  ),
  patternChecker(
    "monotonic-writes",
    "session",
    "Everybody sees the writes of one process in the order in which it made them.",
    monotonicWrites,
  ),
  patternChecker(
    "writes-follow-reads",
    "session",
    "Whoever sees a write has seen what its writer had read before writing.",
    writesFollowReads,
  ),
];
