/** Query parameters: each is checked, and one that nobody knows is refused rather than ignored. */
import type { Context } from "hono";
import * as v from "valibot";
import { type Cursor, decodeCursor } from "../links/cursor.ts";
import { Tag } from "../links/link.ts";
import { Problem } from "./problem.ts";

export interface ListQuery {
  readonly limit: number;
  readonly tag: string | undefined;
  readonly after: Cursor | undefined;
}

const known = new Set(["limit", "tag", "cursor"]);

/** @throws {Problem} 400 with the parameter that is wrong */
export function listQuery(c: Context): ListQuery {
  for (const [name, values] of Object.entries(c.req.queries())) {
    if (!known.has(name)) throw wrong(name, "is not a parameter of this listing");
    if (values.length > 1) throw wrong(name, "should be given once");
  }
  const limit = c.req.query("limit") ?? "20";
  if (!/^\d{1,3}$/.test(limit) || Number(limit) < 1 || Number(limit) > 100) {
    throw wrong("limit", "should be a whole number from 1 to 100");
  }
  const tag = c.req.query("tag");
  if (tag !== undefined && !v.is(Tag, tag)) throw wrong("tag", "should be a tag");
  const cursor = c.req.query("cursor");
  const after = cursor === undefined ? undefined : decodeCursor(cursor);
  if (cursor !== undefined && !after) throw wrong("cursor", "should be the cursor of an earlier page");
  if (after && after.tag !== tag) throw wrong("cursor", "belongs to a listing with another tag");
  return { limit: Number(limit), tag, after };
}

/** @throws {Problem} 400 when there is any */
export function noQuery(c: Context): void {
  for (const name of Object.keys(c.req.queries())) throw wrong(name, "is not a parameter of this answer");
}

function wrong(name: string, what: string): Problem {
  return new Problem(400, "invalid", `${name} ${what}.`, name);
}
