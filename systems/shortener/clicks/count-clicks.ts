/**
 * Counts a batch of clicks in one shard: one statement, whatever the number of clicks.
 *
 * A click is counted when its id is new on the shard. Two messages with one id come from a publish that ended
 * unknown and was repeated, or from a request that the gateway tried on two instances: they have the same
 * code, so they meet on the same shard.
 */
import { sql, type Transaction } from "kysely";
import type { Device, Tables } from "../tables.ts";

export interface CountedClick {
  readonly id: string;
  readonly code: string;
  /** Day in UTC, `YYYY-MM-DD`. */
  readonly day: string;
  readonly device: Device;
  readonly referrer: string;
}

/** Different referring hosts that a link keeps apart; about, because a batch may bring several at once. */
export const referrersPerLinkMax = 500;

export async function countClicks(
  tx: Transaction<Tables>,
  clicks: readonly CountedClick[],
  referrersMax: number = referrersPerLinkMax,
): Promise<void> {
  if (clicks.length === 0) return;
  const column = (pick: (click: CountedClick) => string) => sql`${clicks.map(pick)}::text[]`;
  await sql`
    with incoming as (
      select distinct on (id) id, code, day::date as day, device, referrer
      from unnest(
        ${column((click) => click.id)}, ${column((click) => click.code)}, ${column((click) => click.day)},
        ${column((click) => click.device)}, ${column((click) => click.referrer)}
      ) as given (id, code, day, device, referrer)
    ), fresh as (
      insert into click_seen (id) select id from incoming order by id
      on conflict do nothing
      returning id
    ), counted as (
      select incoming.* from incoming join fresh using (id)
    ), days as (
      insert into click_day as kept (code, day, device, clicks)
      select code, day, device, count(*) from counted group by code, day, device order by code, day, device
      on conflict (code, day, device) do update set clicks = kept.clicks + excluded.clicks
    ), room as (
      select codes.code,
        (select count(*) from click_referrer where click_referrer.code = codes.code) < ${referrersMax}::int as any_left
      from (select distinct code from counted) as codes
    ), named as (
      select counted.code,
        case when room.any_left or known.referrer is not null then counted.referrer else '(other)' end as referrer
      from counted
      join room using (code)
      left join click_referrer as known on known.code = counted.code and known.referrer = counted.referrer
      where counted.device <> 'bot'
    )
    insert into click_referrer as kept (code, referrer, clicks)
    select code, referrer, count(*) from named group by code, referrer order by code, referrer
    on conflict (code, referrer) do update set clicks = kept.clicks + excluded.clicks
  `.execute(tx);
}

/**
 * How long a counted id is remembered. Longer than a click may wait to be published again (an hour, see
 * `click-sender.ts`), with room for a topic that lags.
 */
export const seenForHours = 48;

/** Forgets at most `limit` ids that are old enough, so that no transaction grows with the backlog. */
export async function forgetOldClicks(tx: Transaction<Tables>, limit = 2_000): Promise<void> {
  await sql`
    delete from click_seen where id in (
      select id from click_seen
      where seen_at < now() - make_interval(hours => ${seenForHours}::int)
      order by seen_at limit ${limit}::int
    )
  `.execute(tx);
}
