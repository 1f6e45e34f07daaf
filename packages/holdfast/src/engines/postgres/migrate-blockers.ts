/**
 * Who holds the locks that a migration waits for: asked on another session while it waits, because afterwards there
 * is nothing to be seen.
 *
 * A statement of somebody else's may have anything in it, so that its text is shown without its values.
 */
import type { Clock } from "../../clock/index.ts";
import type { NodePool } from "./pool.ts";

export interface Blocker {
  /** Of the server's process; 0 for a prepared transaction. */
  readonly pid: number;
  readonly application: string;
  readonly user: string;
  /** As in `pg_stat_activity`: `active`, `idle in transaction` … */
  readonly state: string;
  /** Since its newest statement began, in milliseconds. */
  readonly queryAgeMs: number;
  /** Since its transaction began, in milliseconds. */
  readonly transactionAgeMs: number;
  /** Its newest statement with `$1` … where values were; empty when that cannot be told. */
  readonly query: string;
}

interface ActivityRow {
  readonly pid: number;
  readonly application: string;
  readonly user: string;
  readonly state: string;
  readonly query_ms: string;
  readonly transaction_ms: string;
  readonly query: string;
}

const blockersSql = `select b.pid, coalesce(a.application_name, '') as application, coalesce(a.usename, '') as "user",
    coalesce(a.state, a.backend_type, 'prepared transaction') as state, coalesce(a.query, '') as query,
    coalesce(extract(epoch from clock_timestamp() - a.query_start) * 1000, 0)::bigint::text as query_ms,
    coalesce(extract(epoch from clock_timestamp() - a.xact_start) * 1000, 0)::bigint::text as transaction_ms
  from (select distinct unnest(pg_blocking_pids($1)) as pid) b left join pg_stat_activity a on a.pid = b.pid
  order by b.pid`;

/**
 * Looks once, `afterMs` after it was called, at who blocks the session `pid`.
 *
 * @returns to be called when the wait is over: who was seen, none when it was over before
 */
export function watchBlockers(
  pool: NodePool,
  clock: Clock,
  pid: number | undefined,
  afterMs: number,
): () => Promise<readonly Blocker[]> {
  if (pid === undefined) return async () => [];
  let seen: Promise<readonly Blocker[]> = Promise.resolve([]);
  const timer = clock.timer(afterMs, () => {
    seen = askBlockers(pool, pid).catch(() => []);
  });
  return () => {
    timer.cancel();
    return seen;
  };
}

async function askBlockers(pool: NodePool, pid: number): Promise<readonly Blocker[]> {
  const { rows } = await pool.use((session) =>
    session.send<ActivityRow>({ text: blockersSql, values: [pid] }),
  );
  return Promise.all(
    rows.map(async ({ query, query_ms, transaction_ms, ...row }) => ({
      ...row,
      queryAgeMs: Number(query_ms),
      transactionAgeMs: Number(transaction_ms),
      query: await withoutValues(query),
    })),
  );
}

/** Only statements whose values the parser is known to take out; of any other just its first two words. */
async function withoutValues(query: string): Promise<string> {
  const words = query.trim().split(/\s+/, 2).join(" ");
  if (!/^(?:select|insert|update|delete|merge)\b/i.test(words))
    return /^[a-z]+(?: [a-z]+)?$/i.test(words) ? words.toLowerCase() : "";
  try {
    const { loadModule, normalizeSync } = await import("libpg-query");
    await loadModule();
    return normalizeSync(query).replace(/\s+/g, " ").trim();
  } catch {
    return "";
  }
}

/** Pure: one blocker in words. */
export function blockerText(blocker: Blocker): string {
  const { pid, application, user, state, queryAgeMs, transactionAgeMs, query } = blocker;
  if (pid === 0) return "a prepared transaction (see pg_prepared_xacts)";
  const who = application ? `${application} (user ${user})` : `user ${user}`;
  const since = `its transaction began ${seconds(transactionAgeMs)} ago, its last statement ${seconds(queryAgeMs)} ago`;
  return `process ${pid}, ${printable(who)}, ${state}: ${since}${query ? `: ${printable(query)}` : ""}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** Names of applications are anybody's to choose. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: taking control characters out is the point.
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "�").slice(0, 200);
}
