/**
 * What a migration may be told: how long to wait for locks, and whom to tell how it gets on.
 */
import { HoldfastError } from "../../call/index.ts";
import type { LockWarning } from "./lock-rules/index.ts";
import type { Blocker } from "./migrate-blockers.ts";
import type { ReferenceMigrateOptions } from "./reference/reference-migrate.ts";

export interface MigrateOptions extends ReferenceMigrateOptions {
  /**
   * How long a statement of a file waits for a lock before the file is rolled back and tried again, in milliseconds,
   * 1 to 600_000. Default 2_000: everybody who comes after it waits as long. Shorter spares them, and may need more
   * tries. Files marked `-- holdfast: no transaction` wait without a limit, because nobody waits behind them.
   */
  readonly lockTimeoutMs?: number;
  /** How often a file is tried again that did not get its locks, 0 to 1000. Default 10. */
  readonly lockRetriesMax?: number;
  /** Called after each file on each shard. */
  readonly onProgress?: (step: MigrateStep) => void;
  /** Called before anything is run, once for each statement that stops others. */
  readonly onWarning?: (warning: LockWarning) => void;
  /** Called when a file did not get its locks and will be tried again. */
  readonly onBlocked?: (wait: MigrateWait) => void;
}

export interface MigrateStep {
  readonly node: string;
  readonly shard: number;
  readonly file: string;
}

export interface MigrateWait extends MigrateStep {
  /** From 1. */
  readonly attempt: number;
  /** Who was seen holding what it waits for. */
  readonly blockers: readonly Blocker[];
}

export type ResolvedMigrate = Required<Pick<MigrateOptions, "lockTimeoutMs" | "lockRetriesMax">> &
  Pick<MigrateOptions, "onProgress" | "onBlocked">;

export const migrateDefaults = { lockTimeoutMs: 2_000, lockRetriesMax: 10 } as const;

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID with every problem at once */
export function resolveMigrate(options: MigrateOptions): ResolvedMigrate {
  const { lockTimeoutMs, lockRetriesMax } = { ...migrateDefaults, ...definedOf(options) };
  const problems: string[] = [];
  if (!isWholeIn(lockTimeoutMs, 1, 600_000))
    problems.push(`lockTimeoutMs should be a whole number from 1 to 600000, got ${lockTimeoutMs}`);
  if (!isWholeIn(lockRetriesMax, 0, 1000))
    problems.push(`lockRetriesMax should be a whole number from 0 to 1000, got ${lockRetriesMax}`);
  if (problems.length > 0)
    throw new HoldfastError("HOLDFAST_INPUT_INVALID", `A migration's options: ${problems.join("; ")}.`, {
      data: { problems },
    });
  return {
    lockTimeoutMs,
    lockRetriesMax,
    ...(options.onProgress ? { onProgress: options.onProgress } : {}),
    ...(options.onBlocked ? { onBlocked: options.onBlocked } : {}),
  };
}

function definedOf({ lockTimeoutMs, lockRetriesMax }: MigrateOptions) {
  return {
    ...(lockTimeoutMs === undefined ? {} : { lockTimeoutMs }),
    ...(lockRetriesMax === undefined ? {} : { lockRetriesMax }),
  };
}

function isWholeIn(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}
