/** Whether a server may hold a part of a transaction across nodes: asked anew each time, behind BEGIN. */
import { degradedError, doesNotWaitError, noSlotsError, waitsForNobodyError } from "./cross-shard-error.ts";
import type { PgSession } from "./session.ts";

interface Settings {
  readonly slots: number;
  readonly standbys: string;
  readonly commits: string;
}

/**
 * @param quorum replicas that the declaration has commits wait for
 * @throws {HoldfastError} HOLDFAST_CROSS_SHARD_REFUSED; HOLDFAST_UNAVAILABLE while it waits for fewer than declared
 */
export async function checkServer(session: PgSession, quorum: number, mayDegrade: boolean): Promise<void> {
  const { rows } = await session.send<Settings>({
    text: `select current_setting('max_prepared_transactions')::int as slots,
      current_setting('synchronous_standby_names') as standbys, current_setting('synchronous_commit') as commits`,
    prepare: true,
    placed: { schema: "pg_catalog", key: "cross-shard settings" },
  });
  const settings = rows[0];
  if (!settings) throw new Error(`${session.where} said nothing about its settings`);
  const { where } = session;
  if (settings.slots === 0) throw noSlotsError(where);
  const waits = standbysWaitedFor(settings.standbys);
  if (waits === 0 && !mayDegrade) throw waitsForNobodyError(where);
  if (waits < quorum) throw degradedError(where, waits, quorum);
  // Weaker than `on`, COMMIT PREPARED could be lost by a failover after the decision was forgotten.
  if (settings.commits !== "on" && settings.commits !== "remote_apply")
    throw doesNotWaitError(where, settings.commits);
}

/** Pure: how many standbys a commit waits for. A list without a number waits for the first that is there. */
export function standbysWaitedFor(names: string): number {
  if (names.trim() === "") return 0;
  const counted = /^\s*(?:any|first)?\s*(\d+)\s*\(/i.exec(names);
  return counted ? Number(counted[1]) : 1;
}
