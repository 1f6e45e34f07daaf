/** What waits in an outbox, for people: how much for each destination, since when, and what nobody will ever move. */
import type { PgSession } from "../session.ts";
import type { Cursor } from "./cursor.ts";
import type { UseSession } from "./held.ts";
import type { OutboxRoute } from "./move-on.ts";

export interface RouteBacklog {
  /** Such as `topic:created`. */
  readonly destination: string;
  /**
   * `homeless`: its home does not answer, so that nobody knows how much waits. `unknown`: no topic or queue of the
   * system has that name.
   */
  readonly state: "moving" | "homeless" | "unknown";
  /** Messages that were not moved yet, counted up to `waitingMax`. */
  readonly waiting: number;
  /** How long the oldest of them has waited, in milliseconds; 0 when none does. */
  readonly oldestMs: number;
  /** Messages at the destination's home that wait for the old place of their shard. */
  readonly held: number;
}

export interface SourceBacklog {
  readonly database: string;
  readonly node: string;
  /** Room that the outbox takes, with what was moved and is kept for a time; `undefined`: the node does not answer. */
  readonly bytes: number | undefined;
  readonly routes: readonly RouteBacklog[];
}

/** Messages that are counted; more are "at least". */
export const waitingMax = 10_000;

export interface BacklogAsk {
  readonly database: string;
  readonly node: string;
  readonly routes: readonly OutboxRoute[];
  readonly use: UseSession;
}

/** Does not reject: a server that is away is told of as such. */
export async function sourceBacklog({ database, node, routes, use }: BacklogAsk): Promise<SourceBacklog> {
  const homes = new Map(
    await Promise.all(
      routes.map(async (route) => [route.name, await route.standing().catch(() => undefined)] as const),
    ),
  );
  try {
    const { bytes, present, counts } = await use((session) =>
      ask(
        session,
        [...homes].flatMap(([destination, standing]) =>
          standing ? [{ destination, cursor: standing.cursor }] : [],
        ),
      ),
    );
    const names = new Set([...present, ...[...homes].flatMap(([name, home]) => (home?.held ? [name] : []))]);
    const backlogs = [...names].sort().map((destination): RouteBacklog => {
      const counted = counts.get(destination);
      const held = homes.get(destination)?.held ?? 0;
      const state = counted ? "moving" : homes.has(destination) ? "homeless" : "unknown";
      return { destination, state, held, waiting: counted?.waiting ?? 0, oldestMs: counted?.oldestMs ?? 0 };
    });
    return { database, node, bytes, routes: backlogs };
  } catch {
    return { database, node, bytes: undefined, routes: [] };
  }
}

async function ask(
  session: PgSession,
  known: readonly { readonly destination: string; readonly cursor: Cursor }[],
) {
  const { rows: sizes } = await session.send<{ bytes: number | null }>({
    text: `select sum(pg_total_relation_size(inhrelid))::float8 as bytes from pg_inherits
      where inhparent = 'holdfast.outbox'::regclass`,
  });
  const { rows: present } = await session.send<{ destination: string }>({
    text: `with recursive present as (
        (select r.destination from holdfast.outbox r order by r.destination limit 1)
        union all
        select (select r.destination from holdfast.outbox r where r.destination > p.destination
                 order by r.destination limit 1)
          from present p where p.destination is not null
      ) select destination from present where destination is not null`,
  });
  const { rows: counts } = await session.send<{ destination: string; waiting: number; oldestMs: number }>({
    text: `select c.destination, w.waiting, greatest(w.oldest, 0) as "oldestMs"
      from unnest($1::text[], $2::pg_snapshot[], $3::pg_snapshot[], $4::bool[], $5::bigint[])
        as c (destination, base, passing, more, after),
        lateral (
          select count(*)::int as waiting,
                 coalesce(extract(epoch from clock_timestamp() - min(at)) * 1000, 0)::float8 as oldest
            from (select r.at from holdfast.outbox r where r.destination = c.destination
                   and (r.xid >= pg_snapshot_xmax(c.base) or r.xid = any (array(select pg_snapshot_xip(c.base))))
                   and not (c.more and pg_visible_in_snapshot(r.xid, c.passing) and r.position <= c.after)
                  limit ${waitingMax}) waits
        ) w`,
    values: [
      known.map(({ destination }) => destination),
      known.map(({ cursor }) => (cursor.more ? cursor.from : cursor.to)),
      known.map(({ cursor }) => cursor.to),
      known.map(({ cursor }) => cursor.more),
      known.map(({ cursor }) => cursor.after),
    ],
  });
  return {
    bytes: sizes[0]?.bytes ?? 0,
    present: present.map((row) => row.destination),
    counts: new Map(counts.map((row) => [row.destination, row])),
  };
}
