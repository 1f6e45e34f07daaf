/**
 * How a write proves afterwards that it happened, and whether it had happened before: by a marker, by an
 * idempotency key, by a consumer's guard row, or not at all.
 */
import type { HoldfastError } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { EffectGuard, WriteOptions } from "../../parts/database/port.ts";
import { claimGuard } from "./commit-guard.ts";
import { flushed } from "./log-transaction.ts";
import { drawMarker, type Marker, markerRider, settleMarker } from "./marker.ts";
import { checkKey, claimKey, rememberKey, resultJson } from "./marker-key.ts";
import type { NodePool } from "./pool.ts";
import type { Patience } from "./pool-lease.ts";
import type { PgSession, Rider } from "./session.ts";

/** Of one attempt: a further attempt is another transaction, with a proof of its own. */
export interface CommitProof<T> {
  /**
   * Whether `run` may start before `begin` is answered: so when nothing but the outcome of COMMIT depends on it.
   */
  readonly eager: boolean;
  /**
   * Begins the transaction in `schema`, and sends what goes right behind BEGIN. Answers what the write answered
   * before, when it had happened before. Rejects with the first of its statements that failed.
   */
  begin(session: PgSession, schema: string): Promise<{ readonly before: T } | undefined>;
  /** Sends what goes ahead of COMMIT, in the same packet. @returns what the write answers */
  close(session: PgSession, value: T): T;
  /** Goes with COMMIT, in the same message. */
  readonly rider?: Rider | undefined;
  /** Why what `close` sent was refused, and COMMIT with it. */
  readonly failure?: HoldfastError | undefined;
  /**
   * Whether the transaction has committed, asked on another session after a COMMIT without an answer; `undefined`
   * when this proof cannot say. `again` says that running the write again finds out by itself.
   */
  settle(pool: NodePool, patience: Patience): Promise<boolean | "again" | undefined>;
}

export type ProofMaker<T> = () => CommitProof<T>;

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID for a key that is empty or too long */
export function writeProofs<T>(shard: number, options: WriteOptions, clock: Clock): ProofMaker<T> {
  const { idempotencyKey, fingerprint, marker = true } = options;
  if (idempotencyKey !== undefined) {
    checkKey(idempotencyKey);
    return () => keyProof<T>(shard, idempotencyKey, fingerprint, clock);
  }
  return marker ? () => markerProof<T>(shard, clock) : () => noProof<T>();
}

function markerProof<T>(shard: number, clock: Clock): CommitProof<T> {
  let marker: Marker | undefined;
  return {
    eager: true,
    begin: async (session, schema) => {
      marker = drawMarker(clock, session);
      await session.begin(schema);
      return undefined;
    },
    close: (_, value) => value,
    get rider() {
      return marker && markerRider(marker, shard);
    },
    settle: (pool, patience) => settleBegun(pool, marker, patience, clock),
  };
}

async function settleBegun(pool: NodePool, marker: Marker | undefined, patience: Patience, clock: Clock) {
  return marker ? settleMarker(pool, marker, patience, clock) : false;
}

function keyProof<T>(
  shard: number,
  key: string,
  fingerprint: string | undefined,
  clock: Clock,
): CommitProof<T> {
  let marker: Marker | undefined;
  let failure: HoldfastError | undefined;
  const request = { shard, key, fingerprint };
  return {
    eager: false,
    begin: async (session, schema) => {
      marker = drawMarker(clock, session);
      const begun = session.begin(schema);
      const claimed = claimKey(session, request);
      claimed.catch(() => {});
      await begun;
      const remembered = await claimed;
      return remembered && { before: remembered.value as T };
    },
    close: (session, value) => {
      const json = resultJson(value);
      rememberKey(session, marker as Marker, request, json).catch((error: HoldfastError) => {
        failure = error;
      });
      // The first answer takes the same way as every later one, so that they cannot differ.
      return (json === undefined ? undefined : JSON.parse(json)) as T;
    },
    get failure() {
      return failure;
    },
    settle: (pool, patience) => settleBegun(pool, marker, patience, clock),
  };
}

function noProof<T>(): CommitProof<T> {
  return {
    eager: true,
    begin: async (session, schema) => {
      await session.begin(schema);
      return undefined;
    },
    close: (_, value) => value,
    settle: async () => undefined,
  };
}

/**
 * The guard row is the proof: an attempt that comes again waits for the one before, and finds the row moved on.
 * After a COMMIT without an answer "it had happened before" therefore means that it has happened.
 *
 * The commit waits for the disk whatever the default: once the batch is recorded as completed at its topic's home
 * nobody brings it again, so that effects which a crash took back would be lost for good.
 */
export function guardProofs(guard: EffectGuard): ProofMaker<boolean> {
  let unsure = false;
  return () => ({
    eager: false,
    begin: async (session, schema) => {
      const begun = session.begin(schema, flushed);
      const claimed = claimGuard(session, guard);
      claimed.catch(() => {});
      await begun;
      return (await claimed) ? undefined : { before: unsure };
    },
    close: (_, value) => value,
    settle: async () => {
      unsure = true;
      return "again";
    },
  });
}
