/**
 * A write that changes what its key has under lookups, without a transaction across shards:
 *
 * 1. **claim**: a row for each value, on the value's shard, before anything else;
 * 2. **commit**: the key's transaction bears the claims and gives up what the key had besides, on the key's shard;
 * 3. **remove**: the rows of what was given up go.
 *
 * Only 2 decides. Whatever stops between any two steps leaves rows whose claim is absent or dead: nobody is answered
 * from them, and whoever wants such a value kills the claim, where it is not dead yet, and takes the row over.
 *
 * | what went wrong                       | then                                                             |
 * |---------------------------------------|------------------------------------------------------------------|
 * | 1 had no answer                       | settled by its marker; else not applied, and the row gives way   |
 * | the row is another key's, alive       | HOLDFAST_LOOKUP_TAKEN                                             |
 * | … and its claim is dead               | the row is taken over                                            |
 * | … and not born                        | waited for; after two seconds killed, then taken over            |
 * | the own claim was killed before 2     | the transaction rolls back, and all begins anew                  |
 * | 2 was rolled back                     | the claims are killed, the rows removed                          |
 * | 2 had no answer                       | settled by its marker; else unknown, and the claims tell          |
 * | 3 failed                              | nothing: the rows are stale, and swept later                      |
 */
import type { Transaction } from "kysely";
import { currentCall, HoldfastError, type Undone } from "../../../call/index.ts";
import type { LookupWrite } from "../../../parts/database/lookup/port.ts";
import type { AnyTables, WriteOptions } from "../../../parts/database/port.ts";
import { fullJitterMs } from "../../../resilience/index.ts";
import { overError, type Patience, patienceOf } from "../pool-lease.ts";
import { claimStates, killClaims, type Recorded, recordClaims } from "./lookup-claims.ts";
import { type Claim, drawClaimId, type LookupEnv } from "./lookup-env.ts";
import { busyError, notClaimed, takenError } from "./lookup-error.ts";
import { claimRows, type RowFound, removeRows, type WantedClaim } from "./lookup-rows.ts";

const attemptsMax = 20;
const backoff = { baseMs: 20, capMs: 500 } as const;

/** What the steps of one write share. */
interface Progress {
  readonly patience: Patience;
  /** Claims known to be dead: their rows may be taken over. */
  readonly dead: Set<string>;
  /** Claims whose rows this write has made. */
  readonly made: Map<string, Claim>;
}

/** The claims were killed before the key's transaction could bear them. */
class ClaimsLost extends Error {
  readonly claims: readonly string[];
  constructor(claims: readonly string[]) {
    super("claims were killed by another write");
    this.claims = claims;
  }
}

type Run<T> = (tx: Transaction<AnyTables>) => Promise<T>;

export async function writeWithLookups<T>(
  env: LookupEnv,
  write: LookupWrite,
  run: Run<T>,
  options: WriteOptions,
  undone: Undone | undefined,
): Promise<T> {
  const progress: Progress = {
    patience: patienceOf(currentCall(), env.clock),
    dead: new Set(),
    made: new Map(),
  };
  for (let attempt = 1; ; attempt++) {
    let claims: readonly Claim[];
    try {
      claims = await claimAll(env, write, progress);
    } catch (error) {
      await abandon(env, progress);
      return await answerFromBefore(env, write, options, error);
    }
    const ended = await commit(env, write, claims, progress, run, options);
    if (ended.kind === "applied") {
      await Promise.allSettled([
        removeRows(env, ended.released),
        ...(ended.ran ? [] : [abandon(env, progress)]),
      ]);
      return ended.value;
    }
    const { error } = ended;
    if (!(error instanceof ClaimsLost)) {
      // Without an answer nobody knows: the claims tell whoever asks, and nothing is taken back.
      if (!(error instanceof HoldfastError && error.outcome === "unknown")) await abandon(env, progress);
      if (ended.undone) undone?.();
      throw error;
    }
    // Too old to be born is not dead yet.
    const lost = claims.filter((claim) => error.claims.includes(claim.id));
    const alive = await killClaims(env, lost).catch((cause: unknown) => {
      throw notClaimed(env.database, cause);
    });
    for (const claim of lost) if (!alive.has(claim.id)) progress.dead.add(claim.id);
    if (attempt >= attemptsMax || !(await waited(env, progress.patience, attempt)))
      throw busyError(env.database, lost[0]);
  }
}

type Ended<T> =
  | {
      readonly kind: "applied";
      readonly value: T;
      readonly released: readonly Claim[];
      /** False when the write had happened before, and answered from then. */
      readonly ran: boolean;
    }
  | { readonly kind: "failed"; readonly error: unknown; readonly undone: boolean };

async function commit<T>(
  env: LookupEnv,
  { key, shard, changes }: LookupWrite,
  claims: readonly Claim[],
  progress: Progress,
  run: Run<T>,
  options: WriteOptions,
): Promise<Ended<T>> {
  const names = changes.map((change) => change.name);
  let recorded: Recorded | undefined;
  let undone = false;
  try {
    const value = await env.port.write(
      shard,
      async (tx) => {
        recorded = await recordClaims(tx, key, names, claims);
        if (recorded.lost.length > 0) throw new ClaimsLost(recorded.lost);
        const answer = await run(tx);
        await env.step("commit");
        return answer;
      },
      options,
      () => {
        undone = true;
      },
    );
    // Born: nothing of it may be taken back.
    if (recorded) progress.made.clear();
    await env.step("committed");
    return { kind: "applied", value, released: recorded?.released ?? [], ran: recorded !== undefined };
  } catch (error) {
    return { kind: "failed", error, undone };
  }
}

/** @returns the claim of each value, with its row in place */
async function claimAll(
  env: LookupEnv,
  { key, changes }: LookupWrite,
  progress: Progress,
): Promise<readonly Claim[]> {
  let open: readonly WantedClaim[] = changes.flatMap(({ name, unique, values }) =>
    values.map((value) => ({ id: drawClaimId(env), name, value, key, unique })),
  );
  const held: Claim[] = [];
  for (let attempt = 1; open.length > 0; attempt++) {
    let found: readonly RowFound[];
    try {
      found = await claimRows(env, open, progress.dead);
    } catch (error) {
      for (const claim of open) progress.made.set(claim.id, claim);
      throw notClaimed(env.database, error);
    }
    const missed: Exclude<RowFound, { kind: "own" }>[] = [];
    for (const row of found) {
      // One that an attempt before this found dead is to be replaced, not taken up.
      if (row.kind === "own" && !progress.dead.has(row.claim.id)) {
        held.push(row.claim);
        if (row.claim.id === row.wanted.id) progress.made.set(row.claim.id, row.claim);
      } else {
        missed.push(row.kind === "own" ? { kind: "none", wanted: row.wanted } : row);
      }
    }
    const verdicts = await judgeOthers(env, missed, progress);
    open = missed.map((row) => row.wanted);
    const [busy] = verdicts.filter((verdict) => verdict === "busy");
    if (open.length > 0 && (busy !== undefined || attempt > 2)) {
      if (!(await waited(env, progress.patience, attempt))) throw busyError(env.database, open[0]);
    }
  }
  return held;
}

/** What keeps this write from rows: nothing any more (`dead`), or a write under way (`busy`). */
async function judgeOthers(
  env: LookupEnv,
  rows: readonly RowFound[],
  { dead }: Progress,
): Promise<readonly ("dead" | "busy")[]> {
  const others = rows.filter((row) => row.kind === "other");
  if (others.length === 0) return [];
  try {
    const states = new Map(
      await claimStates(
        env,
        others.map((row) => row.claim),
        "strong",
      ),
    );
    const late = others.filter(
      ({ claim, ageMs }) => states.get(claim.id) === "absent" && ageMs >= env.graceMs,
    );
    const alive = await killClaims(
      env,
      late.map((row) => row.claim),
    );
    for (const { claim } of late) states.set(claim.id, alive.has(claim.id) ? "alive" : "dead");
    return others.map(({ claim, wanted }) => {
      const state = states.get(claim.id);
      if (state === "alive") throw takenError(env.database, wanted);
      if (state !== "dead") return "busy";
      dead.add(claim.id);
      return "dead";
    });
  } catch (error) {
    throw notClaimed(env.database, error);
  }
}

/** Takes back claims that were not born, as far as that can be done now; the sweep does what is left. */
async function abandon(env: LookupEnv, { made }: Progress): Promise<void> {
  const claims = [...made.values()];
  made.clear();
  try {
    const alive = await killClaims(env, claims);
    await removeRows(
      env,
      claims.filter((claim) => !alive.has(claim.id)),
    );
  } catch {
    // They keep nobody from their values for longer than the grace.
  }
}

/**
 * A write with an idempotency key may have happened before, and its values may have become another's since: then it
 * answers as it did.
 */
async function answerFromBefore<T>(
  env: LookupEnv,
  { shard }: LookupWrite,
  options: WriteOptions,
  refusal: unknown,
): Promise<T> {
  if (options.idempotencyKey === undefined) throw refusal;
  return await env.port.write<T>(shard, () => Promise.reject(refusal), options);
}

/** @returns false when patience would end first, and nothing was waited for */
async function waited(env: LookupEnv, { untilMs, call }: Patience, attempt: number): Promise<boolean> {
  const ms = fullJitterMs(Math.min(attempt, 10), env.clock.random.next(), backoff);
  if (env.clock.monotonicMs() + ms >= untilMs) return false;
  try {
    await env.clock.sleep(ms, call?.signal);
    return true;
  } catch {
    if (call) throw overError(call, "not-applied");
    return false;
  }
}
