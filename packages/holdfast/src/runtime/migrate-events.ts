/** What is told while a system is migrated, as data and in words; light, because the command loads it for every verb. */
import { type LockWarning, warningLines } from "../engines/postgres/lock-rules/warning.ts";
import { blockerText } from "../engines/postgres/migrate-blockers.ts";
import type { MigrateStep, MigrateWait } from "../engines/postgres/migrate-options.ts";
import type { MigrationPlan } from "../engines/postgres/migrate-pending.ts";
import type { Reporter } from "./reporter.ts";

/** What happens while a system is migrated, for people and programs alike. */
export type MigrateEvent =
  | { readonly kind: "warning"; readonly database: string; readonly warning: LockWarning }
  | ({ readonly kind: "step"; readonly database: string; readonly shards: number } & MigrateStep)
  | ({ readonly kind: "blocked"; readonly database: string } & MigrateWait)
  | {
      readonly kind: "migrated";
      readonly database: string;
      readonly files: number;
      readonly shards: number;
      readonly applied: number;
    }
  /** A file of the reference tables on a node. */
  | {
      readonly kind: "reference";
      readonly database: string;
      readonly node: string;
      readonly file: string;
    }
  /** A node that has not got the reference tables yet. */
  | {
      readonly kind: "reference-behind";
      readonly database: string;
      readonly node: string;
      readonly message: string;
    }
  | ({ readonly kind: "plan"; readonly database: string } & MigrationPlan);

/** Tells a supervisor's reporter: steps as progress, what people should know as notices. */
export function reportMigration({ step, notice }: Pick<Reporter, "step" | "notice">) {
  return (event: MigrateEvent): void => {
    if (event.kind === "step" || event.kind === "reference") step(stepText(event));
    if (event.kind === "reference-behind")
      notice("warn", `Reference tables of ${event.database}: ${event.node} is behind: ${event.message}`);
    if (event.kind === "warning")
      notice("warn", [`Migration of ${event.database}:`, ...warningLines(event.warning)].join("\n"));
    if (event.kind === "blocked") notice("warn", blockedText(event));
  };
}

export function stepText(event: Extract<MigrateEvent, { kind: "step" | "reference" }>): string {
  const { database, file } = event;
  return event.kind === "reference"
    ? `Migrating ${database}: ${file}, reference tables on ${event.node}`
    : `Migrating ${database}: ${file}, shard ${event.shard + 1} of ${event.shards}`;
}

export function blockedText(event: Extract<MigrateEvent, { kind: "blocked" }>): string {
  const { database, file, shard, attempt, blockers } = event;
  const who = blockers.map(blockerText).join("; ") || "nobody who was still there when it was asked";
  return `${database}: ${file} waits for its locks on shard ${shard + 1}, try ${attempt}. Blocked by ${who}`;
}

export { warningLines };
