/** What a write says when a value could not be had. None of these was applied. */
import { HoldfastError } from "../../../call/index.ts";

interface Wanted {
  readonly name: string;
  readonly value: string;
}

/** Names nothing that the caller did not bring: who has the value is nobody's business. */
export function takenError(database: string, { name, value }: Wanted): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_LOOKUP_TAKEN",
    `database "${database}", lookup "${name}": the value belongs to another key. Nothing was written; choose another value.`,
    { data: { database, lookup: name, value } },
  );
}

export function busyError(database: string, wanted: Wanted | undefined): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_LOOKUP_BUSY",
    `database "${database}", lookup "${wanted?.name}": another write is about to take or give up the value, and did not end in time. Nothing was written; try again.`,
    { data: { database, lookup: wanted?.name, value: wanted?.value } },
  );
}

/** A step before the key's transaction failed: whatever became of that step, nothing of the write was applied. */
export function notClaimed(database: string, error: unknown): unknown {
  if (!(error instanceof HoldfastError) || error.outcome === "not-applied") return error;
  const over = error.code === "HOLDFAST_DEADLINE" || error.code === "HOLDFAST_ABORTED";
  return new HoldfastError(
    over ? error.code : "HOLDFAST_UNAVAILABLE",
    `database "${database}": a value of a lookup could not be claimed in time, so nothing was written. Try again.`,
    { outcome: "not-applied", cause: error },
  );
}

export interface ContestedValue {
  readonly lookup: string;
  readonly value: string;
  /** The one that was found without its row, and the one that has the row. */
  readonly keys: readonly [string, string];
}

/** Values and keys are in the data only: messages end up in logs. */
export function contestedError(database: string, contested: readonly ContestedValue[]): HoldfastError {
  const lookups = [...new Set(contested.map((one) => `"${one.lookup}"`))].join(", ");
  const count = contested.length === 1 ? "1 value" : `${contested.length} values`;
  return new HoldfastError(
    "HOLDFAST_LOOKUP_CONTESTED",
    `database "${database}", lookup ${lookups}: ${count} of two keys, because a failover lost commits that said so. Decide which key keeps it, and write the other one with another value; data.contested has them.`,
    { data: { database, contested } },
  );
}
