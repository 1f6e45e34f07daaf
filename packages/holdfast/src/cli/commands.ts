/** The verbs, in the order in which `--help` lists them. */
import { backupCommand } from "./backup.ts";
import { checkCommand } from "./check.ts";
import type { Command } from "./command.ts";
import { downCommand } from "./down.ts";
import { loadCommand } from "./load.ts";
import { messagesCommand } from "./messages.ts";
import { migrateCommand } from "./migrate.ts";
import { planCommand } from "./plan.ts";
import { reshardCommand } from "./reshard.ts";
import { restoreCommand } from "./restore.ts";
import { scheduleCommand } from "./schedule.ts";
import { schemasCommand } from "./schemas.ts";
import { statusCommand } from "./status.ts";
import { upCommand } from "./up.ts";

export const commands: readonly Command[] = [
  planCommand,
  upCommand,
  statusCommand,
  messagesCommand,
  migrateCommand,
  reshardCommand,
  schemasCommand,
  scheduleCommand,
  loadCommand,
  backupCommand,
  restoreCommand,
  checkCommand,
  downCommand,
];
