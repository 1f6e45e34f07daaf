/**
 * Order through a shard move: what was written at a shard's new place waits for what was written at its old one.
 *
 * The two places are on two nodes, each with an outbox and a relay of its own. The fence of a move is the border
 * between them: nothing is published at the old place behind it (`transaction-outbox.ts`). So the relay of the new
 * node asks whether the old node's cursor has passed everything of the old place. Until then it puts what it has of
 * that shard aside, at the destination's home, in the transaction that moves its cursor, and goes on with the others:
 * a node that is away holds up the shards that came from it, and nobody else. Once released, and the table empty, a
 * place is never held again.
 */
import type { DatabaseNodes } from "../nodes.ts";
import type { PgSession } from "../session.ts";
import { type Cursor, readCursor, type SourceMessage } from "./cursor.ts";
import type { OutboxMessage } from "./destination.ts";

/** Most messages that are released in one transaction. */
const releaseMax = 500;

export type UseSession = <T>(run: (session: PgSession) => Promise<T>) => Promise<T>;

export interface HeldEnv {
  readonly database: string;
  readonly nodes: DatabaseNodes;
  readonly destination: string;
  /** Sessions of the destination's home primary, and of a node of the database. */
  readonly home: UseSession;
  source(node: string): UseSession;
}

/** What the outbox of a node is called at a home. */
export function sourceName(database: string, node: string): string {
  return `${database}/${node}`;
}

/** Where a shard was before it came to `place`. */
interface Before {
  readonly node: string;
  readonly place: string;
}

/** What a process knows of the places of one destination: those that are free stay so. */
export class Places {
  readonly #env: HeldEnv;
  readonly #before = new Map<string, Before | undefined>();
  readonly #free = new Set<string>();

  constructor(env: HeldEnv) {
    this.#env = env;
  }

  /** Whether everything of where the shard was before has been moved on. A server that is away says no. */
  async isFree(place: string): Promise<boolean> {
    // Only the schema of a shard that was moved says so in its name.
    if (this.#free.has(place) || !/_m\d+$/.test(place)) return true;
    try {
      const before = await this.#beforeOf(place);
      if (before && !(await isPassed(this.#env, before))) return false;
    } catch {
      return false;
    }
    this.#free.add(place);
    return true;
  }

  async #beforeOf(place: string): Promise<Before | undefined> {
    if (this.#before.has(place)) return this.#before.get(place);
    const { nodes, source } = this.#env;
    const before = await source(nodes.home)(async (session) => {
      const { rows } = await session.send<Before>({
        text: `select source as node, schema as place from holdfast.shard_move where schema_after = $1
          order by id desc limit 1`,
        values: [place],
      });
      return rows[0];
    });
    this.#before.set(place, before);
    return before;
  }
}

async function isPassed(env: HeldEnv, { node, place }: Before): Promise<boolean> {
  const { database, nodes, destination, home, source } = env;
  // A node that was taken away for good has nothing any more: whoever does that looks at its outbox first.
  if (!nodes.config.nodes.some(({ name }) => name === node)) return true;
  const name = sourceName(database, node);
  const { cursor, waits } = await home(async (session) => {
    const { cursor } = await readCursor(session, name, destination);
    const { rows } = await session.send<{ waits: boolean }>({
      text: `select exists (select from holdfast.outbox_held
        where destination = $1 and source = $2 and place = $3) as waits`,
      values: [destination, name, place],
    });
    return { cursor, waits: rows[0]?.waits === true };
  });
  // Read after the cursor was: what is there by now, and not behind it, is still to come.
  return !waits && (await source(node)((session) => hasPassed(session, destination, place, cursor)));
}

async function hasPassed(
  session: PgSession,
  destination: string,
  place: string,
  { tick, from, to, after, more }: Cursor,
): Promise<boolean> {
  const { rows } = await session.send<{ passed: boolean }>({
    text: `select ($3::uuid is null or exists (select from holdfast.outbox_tick where id = $3::uuid))
        and not exists (
          select from holdfast.outbox r
           where r.destination = $1 and r.place = $2
             and (r.xid >= pg_snapshot_xmax($4::pg_snapshot)
               or r.xid = any (array(select pg_snapshot_xip($4::pg_snapshot))))
             and not ($6::bool and pg_visible_in_snapshot(r.xid, $5::pg_snapshot) and r.position <= $7::bigint)
        ) as passed`,
    values: [destination, place, tick ?? null, more ? from : to, to, more, after],
  });
  return rows[0]?.passed === true;
}

/** Places of which something is held, as the transaction that moves the cursor sees it. */
export async function heldPlaces(
  home: PgSession,
  source: string,
  destination: string,
): Promise<ReadonlySet<string>> {
  const { rows } = await home.send<{ place: string }>({
    text: "select distinct place from holdfast.outbox_held where destination = $1 and source = $2",
    values: [destination, source],
    prepare: true,
  });
  return new Set(rows.map((row) => row.place));
}

/** Puts messages aside, within the transaction that moves the cursor past them. That it failed shows in the COMMIT. */
export function hold(
  home: PgSession,
  source: string,
  destination: string,
  messages: readonly SourceMessage[],
): void {
  for (const { place, id, key, json, options, traceparent, session } of messages) {
    home.push({
      text: `insert into holdfast.outbox_held
        (destination, source, place, id, key, value, options, traceparent, session)
        values ($1, $2, $3, $4::uuid, $5, $6::json, $7::json, $8, $9)`,
      values: [
        destination,
        source,
        place,
        id,
        key,
        json,
        options ?? null,
        traceparent ?? null,
        session ?? null,
      ],
      prepare: true,
    });
  }
}

/** Takes out what was held of a place, the first first, within a transaction. */
export async function release(
  home: PgSession,
  source: string,
  destination: string,
  place: string,
): Promise<readonly OutboxMessage[]> {
  const { rows } = await home.send<
    OutboxMessage & { readonly n: string } & {
      readonly [name in "options" | "traceparent" | "session"]: string | null;
    }
  >({
    text: `delete from holdfast.outbox_held h where h.destination = $1 and h.source = $2 and h.place = $3
        and h.n = any (array(select n from holdfast.outbox_held
          where destination = $1 and source = $2 and place = $3 order by n limit $4))
      returning n::text, id::text, key, value::text as json, options::text, traceparent, session`,
    values: [destination, source, place, releaseMax],
  });
  return rows
    .sort((a, b) => (BigInt(a.n) < BigInt(b.n) ? -1 : 1))
    .map(({ id, key, json, options, traceparent, session }) => ({
      id,
      key,
      json,
      options: options ?? undefined,
      traceparent: traceparent ?? undefined,
      session: session ?? undefined,
    }));
}
