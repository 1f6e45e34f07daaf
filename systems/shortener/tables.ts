/** The tables of one shard, as Kysely sees them. `migrations/` makes them. */
import type { ColumnType, Generated } from "kysely";

export interface LinkTable {
  code: string;
  url: string;
  status: number;
  tags: string[];
  expires_at: Date | null;
  max_visits: number | null;
  visits: Generated<number>;
  disabled: Generated<boolean>;
  edit_key_hash: string;
  /** int8 comes back as a decimal string. */
  created_at_ms: ColumnType<string, never, never>;
}

export interface ClickSeenTable {
  id: string;
  seen_at: Generated<Date>;
}

export interface ClickDayTable {
  code: string;
  day: string;
  device: Device;
  clicks: string;
}

export interface ClickReferrerTable {
  code: string;
  referrer: string;
  clicks: string;
}

export interface TargetHostTable {
  host: string;
  links: string;
}

export type Device = "desktop" | "mobile" | "tablet" | "other" | "bot";

export interface Tables {
  link: LinkTable;
  click_seen: ClickSeenTable;
  click_day: ClickDayTable;
  click_referrer: ClickReferrerTable;
  target_host: TargetHostTable;
}
