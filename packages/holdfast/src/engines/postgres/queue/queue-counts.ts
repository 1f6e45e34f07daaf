/** How many jobs there are of each state, and how long the oldest has been ready. */
import type { QueueCounts } from "../../../parts/queue/index.ts";
import type { PgSession } from "../session.ts";
import { openClaimsSql } from "./queue-held.ts";
import { behindSql } from "./queue-length.ts";
import type { QueueStore } from "./queue-tables.ts";
import { cursorSql, ringSettings, windowRows } from "./queue-window.ts";

const countsSql = (store: QueueStore) => `
select (${behindSql(store)})::float8 as waiting,
       (select count(*) from holdfast.queue_timer where queue = q.id)::float8 as delayed,
       coalesce((select sum(g.count - g.ended) from (${openClaimsSql(store)}) g), 0)::float8 as active,
       (select count(*) from holdfast.queue_kept
         where queue = q.id and state = 'dead' and ended_at > clock_timestamp() - $2::float8 * interval '1 millisecond'
       )::float8 as dead,
       coalesce(date_part('epoch', clock_timestamp() - (
         select first.ready_at from (${cursorSql(store)}) o
          cross join lateral (${windowRows(store, "o", "r.xid, r.seq, r.ready_at", "1")}) first)) * 1000, 0) as oldest,
       q.paused
  from holdfast.queue q where q.id = $1`;

export async function countJobs(
  session: PgSession,
  store: QueueStore,
  keepDeadMs: number,
): Promise<QueueCounts> {
  session.push({ text: `begin; ${ringSettings}` });
  const counting = session.send<{
    waiting: number;
    delayed: number;
    active: number;
    dead: number;
    oldest: number;
    paused: boolean;
  }>({ text: countsSql(store), prepare: true, values: [store.id, keepDeadMs] });
  const ended = session.push({ text: "commit" });
  const { rows } = await counting.catch((error: unknown) => {
    session.taint();
    throw error;
  });
  await ended;
  const [row] = rows;
  if (!row) throw new Error(`queue "${store.name}" is not there any more`);
  const { oldest, ...counts } = row;
  return { ...counts, oldestWaitingMs: Math.max(0, oldest) };
}
