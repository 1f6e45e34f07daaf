/**
 * How a write proves afterwards that it happened, and whether it had happened before: by a marker, by an
 * idempotency key, by a consumer's guard row, or not at all.
 */
import { HoldfastError } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import { writeIsolationProblem } from "../../parts/database/isolation.ts";
import type { EffectGuard, Isolation, WriteOptions } from "../../parts/database/port.ts";
import { claimGuard } from "./commit-guard.ts";
import { flushed } from "./log-transaction.ts";
import { drawMarker, type Marker, markerRider, settleMarker } from "./marker.ts";
import { checkKey, claimKey, keyTurn, rememberKey, resultJson } from "./marker-key.ts";
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
  /** Why what `close` sent failed, asked when COMMIT says only that the transaction was rolled back. */
  readonly closeFailure?: () => Promise<HoldfastError | undefined>;
  /** Goes with COMMIT, in the same message. */
  readonly rider?: Rider | undefined;
  /**
   * Whether the transaction has committed, asked on another session after a COMMIT without an answer; `undefined`
   * when this proof cannot say. `again` says that running the write again finds out by itself.
   */
  settle(pool: NodePool, patience: Patience): Promise<boolean | "again" | undefined>;
}

export type ProofMaker<T> = () => CommitProof<T>;

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID for a key that is empty or too long, or an unknown isolation */
export function writeProofs<T>(shard: number, options: WriteOptions, clock: Clock): ProofMaker<T> {
  const { idempotencyKey, fingerprint, marker = true, isolation } = options;
  const problem = writeIsolationProblem(isolation);
  if (problem) {
    const data = { field: "isolation", problems: [problem] };
    throw new HoldfastError("HOLDFAST_INPUT_INVALID", `A write's options: ${problem}.`, { data });
  }
  if (idempotencyKey !== undefined) {
    checkKey(idempotencyKey);
    return () => keyProof<T>(shard, idempotencyKey, fingerprint, isolation, clock);
  }
  return marker ? () => markerProof<T>(shard, isolation, clock) : () => noProof<T>(isolation);
}

function markerProof<T>(shard: number, isolation: Isolation | undefined, clock: Clock): CommitProof<T> {
  let marker: Marker | undefined;
  return {
    eager: true,
    begin: async (session, schema) => {
      marker = drawMarker(clock, session);
      await session.begin(schema, undefined, isolation);
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
  isolation: Isolation | undefined,
  clock: Clock,
): CommitProof<T> {
  let marker: Marker | undefined;
  const request = { shard, key, fingerprint };
  // With one snapshot for all of it, the transaction must not begin before whoever has the key has ended.
  const ahead = isolation !== undefined && isolation !== "read-committed";
  let remembering: Promise<unknown> | undefined;
  return {
    eager: false,
    begin: async (session, schema) => {
      marker = drawMarker(clock, session);
      const turn = ahead ? await keyTurn(session, request) : undefined;
      const begun = session.begin(schema, undefined, isolation);
      const claimed = claimKey(session, request);
      claimed.catch(() => {});
      turn?.passOn();
      await begun;
      const remembered = await claimed;
      return remembered && { before: remembered.value as T };
    },
    close: (session, value) => {
      const json = resultJson(value);
      remembering = rememberKey(session, marker as Marker, request, json);
      // The first answer takes the same way as every later one, so that they cannot differ.
      return (json === undefined ? undefined : JSON.parse(json)) as T;
    },
    closeFailure: async () =>
      remembering?.then(
        () => undefined,
        (error: unknown) => error as HoldfastError,
      ),
    settle: (pool, patience) => settleBegun(pool, marker, patience, clock),
  };
}

function noProof<T>(isolation: Isolation | undefined): CommitProof<T> {
  return {
    eager: true,
    begin: async (session, schema) => {
      await session.begin(schema, undefined, isolation);
      return undefined;
    },
    close: (_, value) => value,
    settle: async () => undefined,
  };
}

export interface GuardProofs {
  readonly proofs: ProofMaker<boolean>;
  /** The mark that the guard row had before, as the attempt under way has found it. */
  markBefore(): string | undefined;
}

/**
 * The guard row is the proof: an attempt that comes again waits for the one before, and finds the row moved on.
 * After a COMMIT without an answer "it had happened before" therefore means that it has happened.
 *
 * The commit waits for the disk whatever the default: once the batch is recorded as completed at its topic's home
 * nobody brings it again, so that effects which a crash took back would be lost for good.
 */
export function guardProofs(guard: EffectGuard): GuardProofs {
  let unsure = false;
  let markBefore: string | undefined;
  const proofs: ProofMaker<boolean> = () => ({
    eager: false,
    begin: async (session, schema) => {
      const begun = session.begin(schema, flushed);
      const claimed = claimGuard(session, guard);
      claimed.catch(() => {});
      await begun;
      const claim = await claimed;
      markBefore = claim.markBefore;
      return claim.claimed ? undefined : { before: unsure };
    },
    close: (_, value) => value,
    settle: async () => {
      unsure = true;
      return "again";
    },
  });
  return { proofs, markBefore: () => markBefore };
}
