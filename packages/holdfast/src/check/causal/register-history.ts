/**
 * A history of registers as causal checks need it: reads and writes in the order of their processes, and for each
 * read the write that it read from. That is known only where no value was written twice to the same key.
 */
import { identity, shownValue } from "../equality.ts";
import type { Operation } from "../history/event.ts";

export interface Access {
  /** Position in `accesses`. */
  readonly id: number;
  readonly kind: "read" | "write";
  /** Number of its process, and its place there, from 0. */
  readonly session: number;
  readonly place: number;
  /** Number of its key. */
  readonly key: number;
  readonly value: unknown;
  /** Of a read: the write it read from; -1 when it read what was there before all writes. */
  source: number;
  readonly operation: Operation;
}

export interface RegisterHistory {
  readonly accesses: readonly Access[];
  /** For each process its accesses in order. */
  readonly sessions: readonly (readonly Access[])[];
  /** For each key and process its writes in order. */
  readonly writes: readonly (readonly (readonly Access[])[])[];
  /** Reads of values that nobody wrote. */
  readonly thinAir: readonly Access[];
  /** What cannot be judged because it is ambiguous, in words; such reads are left out. */
  readonly ambiguous: readonly string[];
}

export const registerFunctions = ["read", "get", "write", "put", "cas"] as const;

/** @param operations of registers: `read` or `get`, `write` or `put`, and `cas` as a read and a write in one */
export function registerHistory(operations: readonly Operation[]): RegisterHistory {
  const build = new Builder();
  for (const operation of operations) build.add(operation);
  return build.finish();
}

interface Draft {
  readonly kind: "read" | "write";
  readonly operation: Operation;
  readonly value: unknown;
}

class Builder {
  readonly #drafts = new Map<number, Draft[]>();
  /** By key and value: who wrote it, and how many did. */
  readonly #writers = new Map<unknown, Map<unknown, { draft: Draft; count: number }>>();
  readonly #read = new Map<unknown, Set<unknown>>();

  add(operation: Operation): void {
    const { f, input, output, outcome } = operation;
    if (outcome === "fail") return;
    if (f === "read" || f === "get") {
      if (outcome === "ok") this.#draft({ kind: "read", operation, value: output });
    } else if (f === "cas") {
      const [old, next] = input as [unknown, unknown];
      // Of unknown outcome it may not have read anything.
      if (outcome === "ok") this.#draft({ kind: "read", operation, value: old });
      this.#draft({ kind: "write", operation, value: next });
    } else this.#draft({ kind: "write", operation, value: input });
  }

  finish(): RegisterHistory {
    const keys = new Map<unknown, number>();
    const accesses: Access[] = [];
    const sessions: Access[][] = [];
    const byDraft = new Map<Draft, Access>();
    const thinAir: Access[] = [];
    const ambiguous: string[] = [];
    for (const drafts of this.#drafts.values()) {
      const session: Access[] = [];
      for (const draft of drafts) {
        const { kind, operation, value } = draft;
        const name = identity(operation.key);
        // A write that nobody can tell happened changes nothing.
        if (operation.outcome === "info" && !this.#read.get(name)?.has(identity(value))) continue;
        const writer = kind === "read" ? this.#writer(name, value) : undefined;
        if (writer && writer.count > 1) {
          ambiguous.push(
            `${shownValue(value)} was written ${writer.count} times to ${shownValue(operation.key)}`,
          );
          continue;
        }
        const key = keys.get(name) ?? keys.size;
        keys.set(name, key);
        const access: Access = {
          id: accesses.length,
          kind,
          session: sessions.length,
          place: session.length,
          key,
          value,
          source: -1,
          operation,
        };
        byDraft.set(draft, access);
        accesses.push(access);
        session.push(access);
      }
      sessions.push(session);
    }
    const writes: Access[][][] = Array.from({ length: keys.size }, () => sessions.map(() => []));
    for (const access of accesses) {
      if (access.kind === "write") {
        writes[access.key]?.[access.session]?.push(access);
        continue;
      }
      const writer = this.#writer(identity(access.operation.key), access.value);
      if (writer) access.source = byDraft.get(writer.draft)?.id ?? -1;
      else if (!isNothing(access.value)) thinAir.push(access);
    }
    return {
      accesses,
      sessions,
      writes,
      thinAir,
      ambiguous: [...new Set(ambiguous)],
    };
  }

  #draft(draft: Draft): void {
    const { process, key } = draft.operation;
    const drafts = this.#drafts.get(process);
    if (drafts) drafts.push(draft);
    else this.#drafts.set(process, [draft]);
    const name = identity(key);
    const value = identity(draft.value);
    if (draft.kind === "read") {
      const values = this.#read.get(name) ?? new Set();
      this.#read.set(name, values.add(value));
      return;
    }
    const writers = this.#writers.get(name) ?? new Map();
    this.#writers.set(name, writers);
    const writer = writers.get(value);
    if (writer) writer.count++;
    else writers.set(value, { draft, count: isNothing(draft.value) ? 2 : 1 });
  }

  #writer(name: unknown, value: unknown): { draft: Draft; count: number } | undefined {
    return this.#writers.get(name)?.get(identity(value));
  }
}

/** Stores answer for a key that nobody wrote with nothing, or with an empty text. */
function isNothing(value: unknown): boolean {
  return value === null || value === undefined || value === "";
}

/** The last write of `writes` at a place below `before`; they are of one process and key, in order. */
export function lastBefore(writes: readonly Access[], before: number): Access | undefined {
  let low = 0;
  let high = writes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((writes[middle] as Access).place < before) low = middle + 1;
    else high = middle;
  }
  return writes[low - 1];
}
