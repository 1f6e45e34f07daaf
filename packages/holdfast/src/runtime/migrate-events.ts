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
  | ({ readonly kind: "plan"; readonly database: string } & MigrationPlan);

/** Tells a supervisor's reporter: steps as progress, what people should know as notices. */
export function reportMigration({ step, notice }: Pick<Reporter, "step" | "notice">) {
  return (event: MigrateEvent): void => {
    if (event.kind === "step") step(stepText(event));
    if (event.kind === "warning")
      notice("warn", [`Migration of ${event.database}:`, ...warningLines(event.warning)].join("\n"));
    if (event.kind === "blocked") notice("warn", blockedText(event));
  };
}

export function stepText({ database, file, shard, shards }: Extract<MigrateEvent, { kind: "step" }>): string {
  return `Migrating ${database}: ${file}, shard ${shard + 1} of ${shards}`;
}

export function blockedText(event: Extract<MigrateEvent, { kind: "blocked" }>): string {
  const { database, file, shard, attempt, blockers } = event;
  const who = blockers.map(blockerText).join("; ") || "nobody who was still there when it was asked";
  return `${database}: ${file} waits for its locks on shard ${shard + 1}, try ${attempt}. Blocked by ${who}`;
}

export { warningLines };
