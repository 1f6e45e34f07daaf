/** What is known of a link's clicks. */
import { sql } from "kysely";
import type { Device } from "../tables.ts";
import { readOnShardOf } from "./read-link.ts";

export interface LinkStats {
  /** Clicks of people: bots are not among them. */
  readonly total: number;
  /** The last 90 days with clicks, in UTC, oldest first. */
  readonly perDay: readonly { readonly day: string; readonly clicks: number }[];
  /** The 20 hosts that most people came from; `""` is "none given". */
  readonly perReferrer: readonly { readonly referrer: string; readonly clicks: number }[];
  readonly perDevice: Readonly<Record<"desktop" | "mobile" | "tablet" | "other", number>>;
  readonly bots: number;
}

interface StatsRow {
  readonly devices: readonly { readonly device: Device; readonly clicks: number }[];
  readonly days: readonly { readonly day: string; readonly clicks: number }[];
  readonly referrers: readonly { readonly referrer: string; readonly clicks: number }[];
}

/**
 * One statement, and so one snapshot: what is said per day, per device and per referrer belongs together.
 *
 * @returns undefined when there is no such link
 */
export async function linkStats(code: string): Promise<LinkStats | undefined> {
  const row = await readOnShardOf(code, async (db) => {
    const { rows } = await sql<StatsRow>`
      select
        (select coalesce(json_agg(d), '[]') from (
          select device, sum(clicks) as clicks from click_day where code = link.code group by device
        ) d) as devices,
        (select coalesce(json_agg(d order by d.day), '[]') from (
          select to_char(day, 'YYYY-MM-DD') as day, sum(clicks) as clicks from click_day
          where code = link.code and device <> 'bot' group by click_day.day order by click_day.day desc limit 90
        ) d) as days,
        (select coalesce(json_agg(r order by r.clicks desc, r.referrer), '[]') from (
          select referrer, clicks from click_referrer where code = link.code
          order by clicks desc, referrer limit 20
        ) r) as referrers
      from link where code = ${code}
    `.execute(db);
    return rows[0];
  });
  if (!row) return undefined;
  const of = (device: Device) => row.devices.find((found) => found.device === device)?.clicks ?? 0;
  const perDevice = {
    desktop: of("desktop"),
    mobile: of("mobile"),
    tablet: of("tablet"),
    other: of("other"),
  };
  return {
    total: perDevice.desktop + perDevice.mobile + perDevice.tablet + perDevice.other,
    perDay: row.days,
    perReferrer: row.referrers,
    perDevice,
    bots: of("bot"),
  };
}
