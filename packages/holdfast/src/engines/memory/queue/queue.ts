/**
 * The queue engine in process: for tests, and for examples that need no server. Nothing of it outlives the process.
 *
 * All of the port, in the most obvious way, so that other engines can be compared with it. Moments are by the
 * clock's wall time, leases and rates by its monotonic time.
 */
import { currentCall, HoldfastError } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import {
  type ClaimedJob,
  type Enqueued,
  type JobFailure,
  jobLostFailure,
  type OutgoingJob,
  type Queue,
  type QueueMember,
  type QueuePort,
  queueFullError,
  roomWaitMs,
} from "../../../parts/queue/index.ts";
import { chooseStep, type Share } from "./choose-step.ts";
import { endAttempt, isEnded, type KeptJob, keptJob, viewOf } from "./kept-job.ts";
import { type Bucket, fillStep } from "./rate-bucket.ts";
import { fits, sortById } from "./search-jobs.ts";
import { Waiters } from "./waiters.ts";

export interface MemoryQueue extends QueuePort {
  /** Ends waiting. The jobs stay: whoever holds this object goes on with them. May be called twice. */
  close(): Promise<void>;
}

interface Member extends QueueMember {
  expiresAtMs: number;
}

export function memoryQueue(declaration: Pick<Queue<never>, "name" | "options">, clock: Clock): MemoryQueue {
  const { name, options } = declaration;
  const jobs = new Map<string, KeptJob>();
  const uniques = new Map<string, { readonly id: string; readonly untilMs: number }>();
  const members = new Map<bigint, Member>();
  const served = new Map<string, number>();
  const buckets = new Map<string | undefined, Bucket>();
  const work = new Waiters(clock);
  const room = new Waiters(clock);
  let isPaused = false;
  let arrived = 0;
  let handedOut = 0;
  let tokens = 0n;

  const all = () => [...jobs.values()];
  const live = () => all().filter((job) => !isEnded(job));
  const held = (token: bigint) => all().filter((job) => job.holder?.token === token);

  /** Brings what has changed by the mere passing of time up to date. */
  const tick = () => {
    const nowMs = clock.wallMs();
    for (const member of [...members.values()]) {
      if (member.expiresAtMs <= clock.monotonicMs()) lose(member);
    }
    for (const [id, job] of jobs) {
      if (job.state === "delayed" && job.readyAtMs <= nowMs) job.state = "waiting";
      const keptMs = job.state === "dead" ? options.keepDeadMs : options.keepDoneMs;
      if (job.endedAtMs !== undefined && job.endedAtMs + keptMs <= nowMs) jobs.delete(id);
    }
    for (const [key, { id, untilMs }] of uniques) {
      const job = jobs.get(id);
      if (untilMs <= nowMs && (!job || isEnded(job))) uniques.delete(key);
    }
  };

  /** The member is gone: what it held comes again, or was its last attempt. */
  const lose = (member: Member) => {
    members.delete(member.token);
    for (const job of held(member.token)) {
      const failure: JobFailure = jobLostFailure(member.name, job.attempt);
      const isOver = job.attempt >= options.retry.attemptsMax || options.retry.unknown === "dead-letter";
      endAttempt(
        job,
        isOver ? { kind: "dead", failure } : { kind: "retry", afterMs: 0, failure },
        clock.wallMs(),
      );
    }
    work.wake();
  };

  const alive = (member: QueueMember): Member => {
    tick();
    const found = members.get(member.token);
    if (found) return found;
    throw new HoldfastError(
      "HOLDFAST_FENCED",
      `Member ${member.name} of worker "${member.worker}" has lost its lease on queue "${name}"; its jobs go to others. Join again.`,
      { data: { queue: name, member: member.name } },
    );
  };

  /** The job that has the unique key already. */
  const holderOf = (job: OutgoingJob) => (job.unique ? uniques.get(job.unique.key)?.id : undefined);

  const add = (outgoing: readonly OutgoingJob[]): readonly Enqueued[] | undefined => {
    tick();
    const nowMs = clock.wallMs();
    const keys = new Set<string>();
    const fresh = outgoing.filter((job) => {
      if (jobs.has(job.id) || holderOf(job) !== undefined || (job.unique && keys.has(job.unique.key)))
        return false;
      if (job.unique) keys.add(job.unique.key);
      return true;
    });
    const pending = all().filter(({ state }) => state === "waiting" || state === "delayed").length;
    if (pending + fresh.length > options.maxLength) {
      if (options.whenFull === "wait" && fresh.length <= options.maxLength) return undefined;
      throw queueFullError(name, options.maxLength, fresh.length, "refuse");
    }
    return outgoing.map((job) => {
      const holder = holderOf(job);
      if (holder !== undefined || jobs.has(job.id)) return { id: holder ?? job.id, isNew: false };
      jobs.set(job.id, keptJob(job, ++arrived, nowMs));
      if (job.unique) uniques.set(job.unique.key, { id: job.id, untilMs: nowMs + job.unique.forMs });
      return { id: job.id, isNew: true };
    });
  };

  const bucketOf = (group: string | undefined): Bucket | undefined => {
    const rate = group === undefined ? options.rate : options.group?.rate;
    if (!rate) return undefined;
    const bucket = fillStep(buckets.get(group), rate, clock.monotonicMs());
    buckets.set(group, bucket);
    return bucket;
  };
  const shareOf = (group: string | undefined, running: readonly KeptJob[]): Share => ({
    running: running.filter((job) => group === undefined || job.outgoing.group === group).length,
    tokens: bucketOf(group)?.tokens ?? Infinity,
    servedAt: group === undefined ? 0 : (served.get(group) ?? 0),
  });
  const spend = (group: string | undefined) => {
    const bucket = buckets.get(group);
    if (bucket) buckets.set(group, { ...bucket, tokens: bucket.tokens - 1 });
  };

  const handOut = (member: Member, job: KeptJob): ClaimedJob => {
    const { outgoing } = job;
    job.state = "active";
    job.attempt++;
    job.holder = { token: member.token, name: member.name };
    job.progressJson = undefined;
    handedOut++;
    spend(undefined);
    if (outgoing.group !== undefined) {
      served.set(outgoing.group, handedOut);
      spend(outgoing.group);
    }
    return {
      id: outgoing.id,
      attempt: job.attempt,
      name: outgoing.name,
      value: JSON.parse(outgoing.json),
      group: outgoing.group,
      priority: outgoing.priority,
      tags: outgoing.tags,
      enqueuedAtMs: job.enqueuedAtMs,
      traceparent: outgoing.traceparent,
      session: outgoing.session,
      handle: undefined,
    };
  };
  const heldBy = (member: QueueMember, claimed: ClaimedJob): KeptJob | undefined => {
    const job = jobs.get(claimed.id);
    const isHeld = job?.holder?.token === member.token && job.attempt === claimed.attempt;
    return isHeld && members.has(member.token) ? job : undefined;
  };
  const dead = (filter: Parameters<QueuePort["redrive"]>[0], limit: number) => {
    tick();
    return sortById(all().filter((job) => fits(job, { ...filter, state: "dead" }))).slice(0, limit);
  };

  return {
    async enqueue(outgoing) {
      const call = currentCall();
      call?.throwIfOver();
      const endMs =
        clock.monotonicMs() + Math.min(call?.remainingMs() ?? roomWaitMs, Number.MAX_SAFE_INTEGER);
      for (;;) {
        const answers = add(outgoing);
        if (answers) {
          work.wake();
          return answers;
        }
        const leftMs = endMs - clock.monotonicMs();
        if (leftMs <= 0) throw queueFullError(name, options.maxLength, outgoing.length, "wait");
        await room.wait(Math.min(leftMs, 1_000), call?.signal);
      }
    },
    async join(worker, memberName, leaseMs) {
      tick();
      const instance = instanceOf(memberName);
      for (const member of [...members.values()]) {
        if (member.worker === worker && instanceOf(member.name) === instance) lose(member);
      }
      const member: Member = {
        worker,
        name: memberName,
        token: ++tokens,
        expiresAtMs: clock.monotonicMs() + leaseMs,
      };
      members.set(member.token, member);
      return { worker, name: memberName, token: member.token };
    },
    async heartbeat(member, leaseMs) {
      alive(member).expiresAtMs = clock.monotonicMs() + leaseMs;
      return held(member.token)
        .filter((job) => job.cancelRequested)
        .map((job) => job.outgoing.id);
    },
    async leave(member) {
      tick();
      if (!members.delete(member.token)) return;
      for (const job of held(member.token)) endAttempt(job, { kind: "released" }, clock.wallMs());
      work.wake();
    },
    async claim(claiming, jobsMax, bytesMax) {
      const member = alive(claiming);
      if (isPaused) return [];
      const candidates = live();
      const running = candidates.filter((job) => job.state === "active");
      const names = new Set(candidates.flatMap((job) => job.outgoing.group ?? []));
      const chosen = chooseStep({
        jobs: candidates,
        options,
        queue: shareOf(undefined, running),
        groups: new Map([...names].map((group) => [group, shareOf(group, running)])),
        jobsMax,
        bytesMax,
      });
      const claimed = chosen.map((job) => handOut(member, job));
      if (claimed.length > 0) room.wake();
      return claimed;
    },
    async finish(member, ends) {
      tick();
      const counted = ends.map(({ job: claimed, end }) => {
        const job = heldBy(member, claimed);
        if (job) endAttempt(job, end, clock.wallMs());
        return job !== undefined;
      });
      work.wake();
      return counted;
    },
    async progress(member, claimed, json) {
      tick();
      const job = heldBy(member, claimed);
      if (job) job.progressJson = json;
    },
    wait: (maxWaitMs, signal) => work.wait(maxWaitMs, signal),
    async cancel(id) {
      tick();
      const job = jobs.get(id);
      if (!job) return "unknown";
      if (isEnded(job)) return "ended";
      if (job.state === "active") {
        job.cancelRequested = true;
        return "requested";
      }
      job.state = "cancelled";
      job.endedAtMs = clock.wallMs();
      room.wake();
      return "cancelled";
    },
    async get(id) {
      tick();
      const job = jobs.get(id);
      return job && viewOf(job);
    },
    async known(ids) {
      return ids.filter((id) => jobs.has(id));
    },
    async search(filter, limit, after) {
      tick();
      const found = sortById(
        all().filter((job) => fits(job, filter) && (after === undefined || job.outgoing.id > after)),
      );
      const page = found.slice(0, limit);
      return {
        jobs: page.map(viewOf),
        after: found.length > page.length ? page.at(-1)?.outgoing.id : undefined,
      };
    },
    async counts() {
      tick();
      const count = (state: KeptJob["state"]) => all().filter((job) => job.state === state).length;
      const since = all().flatMap((job) => (job.state === "waiting" ? job.readyAtMs : []));
      return {
        waiting: count("waiting"),
        delayed: count("delayed"),
        active: count("active"),
        dead: count("dead"),
        oldestWaitingMs: since.length === 0 ? 0 : Math.max(0, clock.wallMs() - Math.min(...since)),
        paused: isPaused,
      };
    },
    async redrive(filter, limit) {
      const found = dead(filter, limit);
      for (const job of found) {
        job.state = "waiting";
        job.attempt = 0;
        job.readyAtMs = clock.wallMs();
        job.endedAtMs = undefined;
        job.cancelRequested = false;
      }
      work.wake();
      return found.length;
    },
    async discard(filter, limit) {
      const found = dead(filter, limit);
      for (const job of found) jobs.delete(job.outgoing.id);
      return found.length;
    },
    async pause(paused) {
      isPaused = paused;
      work.wake();
    },
    async close() {
      work.wake();
      room.wake();
    },
  };
}

/** `mailer-1` of `mailer-1@5f3a`. */
function instanceOf(name: string): string {
  const at = name.lastIndexOf("@");
  return at < 0 ? name : name.slice(0, at);
}
