/**
 * Attempts as a member sees them: claimed, ended, given back. Each is one transaction that leaves in one packet with its
 * COMMIT, behind the fence of the member's row: so a process that is paused in the middle holds no lock.
 *
 * - A claim without an answer may have taken jobs that nobody works on. Its id is remembered, and what it took is given
 *   back with every claim and heartbeat of the next minute (a server that stood still may get to it late).
 * - An end without an answer is told again. It counts once; what it did is then read from what became of the job.
 */
import type { HoldfastError } from "../../../../call/index.ts";
import { isPermanent } from "../../../../call/index.ts";
import type { Clock } from "../../../../clock/index.ts";
import type { AttemptEnd, ClaimedJob, QueueMember } from "../../../../parts/queue/index.ts";
import type { UseSession } from "../../log-session.ts";
import { flushed, writeAtOnce } from "../../log-transaction.ts";
import { patienceDefaultMs } from "../../pool-lease.ts";
import { sqlStateOf } from "../../session-error.ts";
import { fencedBy, fenceStatement } from "../queue-members.ts";
import { separator } from "./enqueuer.ts";
import type { Floors } from "./floors.ts";

/** A claim that waits longer for its turn, or for the only group there is, finds nothing this time. */
const claimLockMs = 1_000;
const endLockMs = 5_000;
/** How long after it a claim without an answer may still be carried out. */
const lateMsMax = 60_000;
const backoffMs = 50;

export interface Attempts {
  claim(member: QueueMember, jobsMax: number, bytesMax: number): Promise<Claimed>;
  finish(member: QueueMember, ends: readonly JobEnd[]): Promise<readonly boolean[]>;
  /** Gives back what claims without an answer took. */
  giveBack(member: QueueMember): Promise<void>;
  /** Gives back all that the member holds, and ends its lease. */
  leave(member: QueueMember): Promise<void>;
}

export interface Claimed {
  readonly jobs: readonly ClaimedJob[];
  /** When it is worth asking again if nothing else happens: in so many milliseconds. */
  readonly nextMs: number | undefined;
}

export interface JobEnd {
  readonly job: ClaimedJob;
  readonly end: AttemptEnd;
}

interface ClaimRow {
  readonly id: string | null;
  readonly attempt: number;
  readonly name: string | null;
  readonly group_name: string | null;
  readonly priority: number;
  readonly tags: string[] | null;
  readonly enqueued_ms: number;
  readonly traceparent: string | null;
  readonly session: string | null;
  readonly value: unknown;
  readonly next_ms: number | null;
  readonly now_ms: number;
}

export function attemptsOf(env: {
  readonly use: UseSession;
  readonly clock: Clock;
  readonly queueId: number;
  readonly rules: string;
  readonly floors: Floors;
  readonly newId: () => string;
}): Attempts {
  const { use, clock, queueId, rules, floors, newId } = env;
  /** Claims without an answer, by the token of their member. */
  const unsure = new Map<bigint, { readonly claim: string; readonly untilMs: number }[]>();

  const giveBack = async (member: QueueMember): Promise<void> => {
    const nowMs = clock.monotonicMs();
    const claims = (unsure.get(member.token) ?? []).filter(({ untilMs }) => untilMs > nowMs);
    if (claims.length === 0) {
      unsure.delete(member.token);
      return;
    }
    unsure.set(member.token, claims);
    await use((session) =>
      writeAtOnce(
        session,
        [
          fenceStatement(queueId, member, true),
          {
            text: "select holdfast.selective_back($1, array[$2::bigint], $3::uuid[], false, $4::jsonb)",
            values: [queueId, member.token.toString(), claims.map(({ claim }) => claim), rules],
          },
        ],
        `set local lock_timeout = ${endLockMs}; ${flushed}`,
      ),
    );
  };

  const endAtOnce = async (member: QueueMember, ends: readonly JobEnd[]): Promise<Set<string>> => {
    const [, { rows }] = await use((session) =>
      writeAtOnce<[unknown, { job: string }]>(
        session,
        [fenceStatement(queueId, member, true), endStatement(queueId, member, ends, rules)],
        `set local lock_timeout = ${endLockMs}; ${flushed}`,
      ),
    );
    return new Set(rows.map(({ job }) => job));
  };

  /** Of ends that may have been told before: those whose job became what they say, under the attempt they say. */
  const alreadyEnded = async (ends: readonly JobEnd[]): Promise<Set<string>> => {
    const { rows } = await use((session) =>
      session.send<{ id: string }>({
        text: `select told.id from unnest($2::uuid[], $3::int[], $4::text[]) as told (id, attempt, state)
                 join holdfast.selective_ended e on e.queue = $1 and e.id = told.id
                where e.attempt = told.attempt and e.state = told.state
               union all
               select told.id from unnest($2::uuid[], $3::int[], $4::text[]) as told (id, attempt, state)
                 join holdfast.selective_item i on i.queue = $1 and i.id = told.id
                where told.state = 'retry' and i.attempt = told.attempt and i.member is null`,
        values: [
          queueId,
          ends.map(({ job }) => job.id),
          ends.map(({ job }) => job.attempt),
          ends.map(({ end }) => end.kind),
        ],
      }),
    );
    return new Set(rows.map(({ id }) => id));
  };

  return {
    giveBack,
    async claim(member, jobsMax, bytesMax) {
      await giveBack(member).catch((error: unknown) => {
        throw fencedBy(error, member);
      });
      const claim = newId();
      const from = floors.now();
      try {
        const [, { rows }] = await use((session) =>
          writeAtOnce<[unknown, ClaimRow]>(
            session,
            [
              fenceStatement(queueId, member, true),
              {
                text: `select * from holdfast.selective_claim(
                         $1, $2::bigint, $3::uuid, $4, $5::bigint, $6::jsonb, $7::bigint, $8::timestamptz, $9::timestamptz)`,
                prepare: true,
                values: [
                  queueId,
                  member.token.toString(),
                  claim,
                  jobsMax,
                  Math.min(bytesMax, Number.MAX_SAFE_INTEGER),
                  rules,
                  from.turn,
                  from.wakeAt,
                  from.dueAt,
                ],
              },
            ],
            `set local lock_timeout = ${claimLockMs}; ${flushed}`,
          ),
        );
        const last = rows.at(-1);
        if (last) floors.saw(last.now_ms, rows.length - 1);
        return {
          jobs: rows.filter(({ id }) => id !== null).map((row) => claimedJob(row, claim)),
          nextMs: last?.next_ms ?? undefined,
        };
      } catch (error) {
        const state = sqlStateOf(error);
        // Others were longer at it than this one waits, or a deadlock was resolved at its cost: nothing this time.
        if (state === "55P03" || state === "40P01") return { jobs: [], nextMs: backoffMs };
        if (state === undefined || state.startsWith("57")) {
          const untilMs = clock.monotonicMs() + lateMsMax;
          unsure.set(member.token, [...(unsure.get(member.token) ?? []), { claim, untilMs }]);
        }
        throw fencedBy(error, member);
      }
    },
    async finish(member, ends) {
      const untilMs = clock.monotonicMs() + patienceDefaultMs;
      const counted = new Set<string>();
      for (let again = false; ; again = true) {
        try {
          if (again) for (const id of await alreadyEnded(ends)) counted.add(id);
          for (const id of await endAtOnce(member, ends)) counted.add(id);
          break;
        } catch (error) {
          if (sqlStateOf(error) === "HF002") break; // what it held is others' now
          if (isPermanent(error) || clock.monotonicMs() > untilMs) throw error as HoldfastError;
          await clock.sleep(backoffMs * (0.5 + clock.random.next()));
        }
      }
      return ends.map(({ job }) => counted.delete(job.id));
    },
    async leave(member) {
      await use((session) =>
        writeAtOnce(
          session,
          [
            {
              text: "select holdfast.selective_leave($1, $2::bigint, $3, $4::jsonb)",
              values: [queueId, member.token.toString(), member.name, rules],
            },
          ],
          `set local lock_timeout = ${endLockMs}; ${flushed}`,
        ),
      );
      unsure.delete(member.token);
    },
  };
}

function claimedJob(row: ClaimRow, claim: string): ClaimedJob {
  return {
    id: row.id as string,
    attempt: row.attempt,
    name: row.name ?? undefined,
    value: row.value,
    group: row.group_name ?? undefined,
    priority: row.priority,
    tags: row.tags ?? [],
    enqueuedAtMs: row.enqueued_ms,
    traceparent: row.traceparent ?? undefined,
    session: row.session ?? undefined,
    handle: claim,
  };
}

function endStatement(queueId: number, member: QueueMember, ends: readonly JobEnd[], rules: string) {
  const told = ends.map(({ job, end }) => ({
    id: job.id,
    m: member.token.toString(),
    c: job.handle,
    k: end.kind,
    a: end.kind === "retry" ? end.afterMs : 0,
    ...("failure" in end
      ? { e: plain(end.failure.code), t: plain(end.failure.message), o: end.failure.outcome }
      : {}),
  }));
  const results = ends.map(({ end }) => (end.kind === "done" ? (end.resultJson ?? "") : ""));
  return {
    text: "select job from holdfast.selective_end($1, $2::json, $3::text, $4::jsonb)",
    prepare: true,
    values: [queueId, JSON.stringify(told), results.join(separator), rules],
  };
}

/** Text that Postgres takes: no NUL, no half of a surrogate pair. */
function plain(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\ufffd");
}
