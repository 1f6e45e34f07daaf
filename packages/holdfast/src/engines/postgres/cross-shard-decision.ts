/**
 * The decision of a transaction across nodes: how the coordinator's own part proves that it, and with it the
 * whole, has committed; and how anybody else finds out.
 *
 * The coordinator's part holds the advisory lock of the attempt from its begin, which is answered before anything
 * is prepared anywhere, to its end. So whoever gets the lock afterwards knows that this part has ended: its row is
 * there, or it never will be. That is what an abort record would be for, and nothing has to be written, kept or
 * cleared away for the many that abort (presumed abort).
 */
import pg from "pg";
import type { Clock } from "../../clock/index.ts";
import { lockOfId } from "./cross-shard-gid.ts";
import {
  drawMarker,
  drawMarkerId,
  type Marker,
  markerTable,
  settleMarker,
  tombstoneShard,
} from "./marker.ts";
import { checkKey, claimKey, type KeyedRequest, rememberKey, resultJson } from "./marker-key.ts";
import type { NodePool } from "./pool.ts";
import type { Patience } from "./pool-lease.ts";
import type { PgSession, Rider } from "./session.ts";
import { sqlStateOf } from "./session-error.ts";

/** Of one attempt. */
export interface DecisionProof<T> {
  readonly id: string;
  /** Begins the coordinator's part. Answers what was answered before, when it had happened before. */
  begin(session: PgSession, schema: string, settings: string): Promise<{ readonly before: T } | undefined>;
  /** Sends what goes ahead of COMMIT. @returns what the transaction answers */
  close(session: PgSession, value: T): T;
  /** The decision: it goes with COMMIT. */
  rider(participants: readonly string[]): Rider;
  settle(pool: NodePool, patience: Patience): Promise<boolean>;
}

export interface KeyedTogether {
  readonly idempotencyKey?: string | undefined;
  readonly fingerprint?: string | undefined;
}

/**
 * @param shard under which its marker and its key are kept: the same for the same keys, in whatever order
 * @throws {HoldfastError} HOLDFAST_INPUT_INVALID for a key that is empty or too long
 */
export function decisionProofs<T>(
  shard: number,
  options: KeyedTogether,
  clock: Clock,
): () => DecisionProof<T> {
  const { idempotencyKey: key, fingerprint } = options;
  if (key !== undefined) checkKey(key);
  return () => {
    const id = drawMarkerId(clock);
    let marker: Marker | undefined;
    const begin = (session: PgSession, schema: string, settings: string) => {
      marker = drawMarker(clock, session, id);
      return session.begin(schema, `select pg_advisory_xact_lock(${lockOfId(id)}); ${settings}`);
    };
    const drawn = () => marker as Marker;
    return {
      id,
      ...(key === undefined
        ? unkeyed<T>(begin, drawn, shard)
        : keyed<T>(begin, drawn, { shard, key, fingerprint })),
      settle: async (pool, patience) => (marker ? settleMarker(pool, marker, patience, clock) : false),
    };
  };
}

type Keeping<T> = Pick<DecisionProof<T>, "begin" | "close" | "rider">;
type Begin = (session: PgSession, schema: string, settings: string) => Promise<unknown>;

function unkeyed<T>(begin: Begin, marker: () => Marker, shard: number): Keeping<T> {
  return {
    begin: async (session, schema, settings) => {
      await begin(session, schema, settings);
      return undefined;
    },
    close: (_, value) => value,
    rider: (participants) => {
      const { id, slot } = marker();
      return {
        name: `holdfast_decide_${slot}`,
        text: `with mark as (insert into ${markerTable(slot)} (id, shard) values ($1::uuid, $2::int))
        insert into holdfast.decision (id, participants) values ($1::uuid, $3::text[])`,
        values: `'${id}', ${shard}, ${namesLiteral(participants)}`,
      };
    },
  };
}

function keyed<T>(begin: Begin, marker: () => Marker, request: KeyedRequest): Keeping<T> {
  return {
    begin: async (session, schema, settings) => {
      const begun = begin(session, schema, settings);
      const claimed = claimKey(session, request);
      claimed.catch(() => {});
      await begun;
      const remembered = await claimed;
      return remembered && { before: remembered.value as T };
    },
    close: (session, value) => {
      const json = resultJson(value);
      // That it was refused shows in COMMIT.
      rememberKey(session, marker(), request, json).catch(() => {});
      return (json === undefined ? undefined : JSON.parse(json)) as T;
    },
    rider: (participants) => ({
      name: "holdfast_decide_keyed",
      text: "insert into holdfast.decision (id, participants) values ($1::uuid, $2::text[])",
      values: `'${marker().id}', ${namesLiteral(participants)}`,
    }),
  };
}

/** Names of nodes come from the configuration; they are quoted like anything else. */
function namesLiteral(names: readonly string[]): string {
  return `array[${names.map((name) => pg.escapeLiteral(name)).join(", ")}]::text[]`;
}

/**
 * Whether the transaction `id` was decided to commit; `undefined` while its coordinator's part is under way.
 * What it says holds only of a primary that is proven afterwards to be the current one.
 */
export async function askDecision(session: PgSession, id: string): Promise<boolean | undefined> {
  session.push({ text: `begin; set local lock_timeout to '${decisionLockMs}ms'` });
  session.push({ text: `select pg_advisory_xact_lock(${lockOfId(id)})` });
  try {
    // A statement of its own, with a snapshot taken after the lock. The marker outlives the row by a day.
    const { rows } = await session.send<{ committed: boolean }>({
      text: `select exists (select from holdfast.decision where id = $1)
        or exists (select from holdfast.marker where slot in (0, 1, 2) and id = $1 and shard <> $2) as committed`,
      values: [id, tombstoneShard],
    });
    await session.send({ text: "rollback" });
    return rows[0]?.committed === true;
  } catch (error) {
    session.push({ text: "rollback" });
    session.taint();
    // 55P03 lock_not_available; 25P02 is its echo in the statement behind it.
    const state = sqlStateOf(error);
    if (state === "55P03" || state === "25P02") return undefined;
    throw error;
  }
}

/** How long recovery waits for a coordinator that is still at work before it leaves it alone, in milliseconds. */
const decisionLockMs = 200;
