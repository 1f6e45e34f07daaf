/** What is said when shards cannot be moved, or moves not be taken back. */
import { HoldfastError } from "../../../call/index.ts";
import type { AnyDatabase } from "../../../parts/database/index.ts";
import type { PlannedMove } from "./move-check.ts";
import type { MoveRecord } from "./move-record.ts";

export function refusedError(moves: readonly PlannedMove[], problems: readonly string[]): HoldfastError {
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  const what = moves.length === 0 ? "Nothing was moved" : `Nothing more was moved (${moves.length} planned)`;
  return new HoldfastError(
    "HOLDFAST_RESHARD_REFUSED",
    `${what}: ${count}${problems.map((problem) => `\n  - ${problem}`).join("")}`,
    { data: { problems } },
  );
}

export function otherError({ name }: AnyDatabase): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_RESHARD_REFUSED",
    `Another process moves shards of database "${name}" just now. Wait for it, or stop it and try again.`,
    { data: { database: name } },
  );
}

export function migratingError(node: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_RESHARD_REFUSED",
    `${node} is being migrated just now, and a shard is moved as it is. Wait for the migration, and try again.`,
    { data: { node } },
  );
}

export function strayError(node: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_RESHARD_REFUSED",
    `${node}: connections of a process that moved shards before cannot be ended. See pg_stat_activity there, and try again.`,
    { data: { node } },
  );
}

export function flippedError(move: MoveRecord): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_RESHARD_REFUSED",
    `Shard ${move.shard} is on ${move.target} already, so there is nothing to give up. \`holdfast reshard\` ends move ${move.id}; \`holdfast reshard --back\` takes it back.`,
    { data: { move: move.id, shard: move.shard } },
  );
}

export function nothingKeptError(shards: readonly number[]): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_RESHARD_REFUSED",
    `No move of shard ${shards.join(", ")} is kept: it has not moved, was finished, or was taken back.`,
    { data: { shards } },
  );
}
