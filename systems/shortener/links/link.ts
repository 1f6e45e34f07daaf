/** A link: what makes one, what may be changed, and how it is shown. */
import type { Selectable } from "kysely";
import * as v from "valibot";
import type { LinkTable } from "../tables.ts";
import { CustomCode } from "./code.ts";
import { urlLengthMax } from "./target-url.ts";

const Url = v.pipe(
  v.string("should be a text"),
  v.minLength(1, "should not be empty"),
  v.maxLength(urlLengthMax, `should have at most ${urlLengthMax} characters`),
);
const Status = v.picklist([301, 302], "should be 301 or 302");
const MaxVisits = v.pipe(
  v.number("should be a number"),
  v.integer("should be a whole number"),
  v.minValue(1, "should be at least 1"),
  v.maxValue(1_000_000_000, "should be at most 1000000000"),
);
const ExpiresAt = v.pipe(
  v.string("should be a text"),
  v.isoTimestamp("should be a time with its zone, such as 2030-01-31T12:00:00Z"),
  v.check(exists, "should be a time that exists"),
  v.transform((text) => new Date(text).toISOString()),
);
/** Whether the day is in the calendar (`Date` takes 30 February for 2 March) and the time within four-digit years. */
function exists(text: string): boolean {
  const day = text.slice(0, 10);
  const atMidnight = Date.parse(`${day}T00:00:00Z`);
  if (Number.isNaN(atMidnight) || new Date(atMidnight).toISOString().slice(0, 10) !== day) return false;
  const atMs = Date.parse(text);
  return !Number.isNaN(atMs) && /^\d{4}-/.test(new Date(atMs).toISOString());
}
export const Tag = v.pipe(
  v.string("should be a text"),
  v.regex(/^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,39}$/u, "should have 1 to 40 letters, digits, spaces and . _ -"),
);
const Tags = v.pipe(
  v.array(Tag, "should be a list of tags"),
  v.maxLength(10, "should have at most 10 tags"),
  v.transform((tags) => [...new Set(tags)].sort()),
);

/** The body of `POST /links`. Fields that are not here are refused. */
export const NewLink = v.strictObject(
  {
    url: Url,
    code: v.optional(CustomCode),
    expiresAt: v.optional(ExpiresAt),
    maxVisits: v.optional(MaxVisits),
    status: v.optional(Status, 302),
    tags: v.optional(Tags, []),
  },
  "should be an object",
);
export type NewLink = v.InferOutput<typeof NewLink>;

/** The body of `PATCH /links/:code`: the fields to change; null takes an expiry or a limit away. */
export const LinkChange = v.pipe(
  v.strictObject(
    {
      url: v.optional(Url),
      expiresAt: v.optional(v.nullable(ExpiresAt)),
      maxVisits: v.optional(v.nullable(MaxVisits)),
      status: v.optional(Status),
      tags: v.optional(Tags),
      disabled: v.optional(v.boolean("should be true or false")),
    },
    "should be an object",
  ),
  v.check((change) => Object.keys(change).length > 0, "should change at least one field"),
);
export type LinkChange = v.InferOutput<typeof LinkChange>;

/** A link as the API shows it; JSON as it stands. */
export interface LinkView {
  readonly code: string;
  readonly url: string;
  readonly status: number;
  readonly tags: readonly string[];
  readonly expiresAt: string | null;
  readonly maxVisits: number | null;
  /** Redirects that counted against the limit; links that never had one stay at 0. */
  readonly visits: number;
  readonly disabled: boolean;
  readonly createdAt: string;
}

export function viewOf(row: Selectable<LinkTable>): LinkView {
  return {
    code: row.code,
    url: row.url,
    status: row.status,
    tags: row.tags,
    expiresAt: row.expires_at?.toISOString() ?? null,
    maxVisits: row.max_visits,
    visits: row.visits,
    disabled: row.disabled,
    createdAt: new Date(Number(row.created_at_ms)).toISOString(),
  };
}
