/**
 * Holds writes on several nodes for a moment: every table is locked in SHARE mode, which waits until the
 * transactions that have written to it have ended, prepared ones too, and keeps others from writing. Reads go on.
 *
 * Writers queue behind a waiting lock, so it waits briefly, gives up everywhere and tries again. In a deadlock it is
 * this side that gives way: its deadlock check comes first.
 */
import type pg from "pg";
import { HoldfastError } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";

export interface Holder {
  readonly node: string;
  readonly database: string;
  readonly client: pg.Client;
}

export interface WriteHold {
  /** Lets writes go on. May be called again. @returns for how long they were held, in milliseconds */
  release(): Promise<number>;
}

const lockMsMax = 300;
const pauseMsMax = 400;
const attemptsMax = 8;

/** @throws {HoldfastError} HOLDFAST_UNAVAILABLE when writers do not let it in; nothing is held then */
export async function holdWrites(
  holders: readonly Holder[],
  clock: Clock,
  signal: AbortSignal,
): Promise<WriteHold> {
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    const startedMs = clock.monotonicMs();
    const locks = await Promise.allSettled(holders.map(({ client }) => lockAll(client)));
    const release = async () => {
      await Promise.allSettled(holders.map(({ client }) => client.query("rollback")));
      return clock.monotonicMs() - startedMs;
    };
    const failed = locks.find((lock) => lock.status === "rejected");
    if (!failed) {
      let released: Promise<number> | undefined;
      return {
        release() {
          released ??= release();
          return released;
        },
      };
    }
    await release();
    // 55P03: the lock was not to be had in time. 40P01: a deadlock, and this side gave way.
    const busy = ["55P03", "40P01"].includes((failed.reason as pg.DatabaseError).code ?? "");
    if (!busy) throw failed.reason;
    if (attempt === attemptsMax) throw await stillBusy(holders);
    await clock.sleep(pauseMsMax * (0.5 + clock.random.next() / 2), signal);
  }
}

async function lockAll(client: pg.Client): Promise<void> {
  await client.query("begin");
  await client.query(`set local lock_timeout = ${lockMsMax}`);
  // Only a superuser may set it; another role has the server's.
  await client.query(
    `select set_config('deadlock_timeout', '50ms', true) from pg_roles where rolname = current_user and rolsuper`,
  );
  const { rows } = await client.query<{ tables: string | null }>(
    `select string_agg(format('%I.%I', n.nspname, c.relname), ', ' order by n.nspname, c.relname) as tables
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
       and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`,
  );
  const tables = rows[0]?.tables;
  if (tables) await client.query(`lock table ${tables} in share mode`);
}

async function stillBusy(holders: readonly Holder[]): Promise<HoldfastError> {
  const blockers = await Promise.all(
    holders.map(async ({ node, database, client }) => {
      const { rows } = await client
        .query<{ what: string }>(
          `select 'prepared transaction ' || gid as what from pg_prepared_xacts where database = current_database()
           union all
           select format('process %s (%s), in a transaction for %s s', pid, coalesce(nullif(application_name, ''), usename),
             extract(epoch from clock_timestamp() - xact_start)::int)
           from pg_stat_activity
           where datname = current_database() and backend_xid is not null and pid <> pg_backend_pid()
             and xact_start < clock_timestamp() - interval '1 second'
           limit 10`,
        )
        .catch(() => ({ rows: [] }));
      return rows.map(({ what }) => `${node}, ${database}: ${what}`);
    }),
  );
  const found = blockers.flat();
  return new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `Writes could not be held: in ${attemptsMax} attempts the tables were never free of writing transactions on all nodes at once. ${
      found.length > 0 ? `Open now: ${found.join("; ")}. End them` : "Try again when there is less to do"
    }, or make the cut without a pause.`,
    { data: { open: found } },
  );
}
