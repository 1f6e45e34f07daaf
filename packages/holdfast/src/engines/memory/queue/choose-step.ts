/**
 * Which jobs are handed out next: the obvious way, by looking at all of them. A pure step.
 *
 * Without groups the best job comes first: the one that is ready longest, where each level of priority counts as
 * `agingMs` of waiting. With groups they take turns: the one that was served longest ago gives its best job. In an
 * ordered group that is its oldest job, and while that one is delayed or under way, none.
 */
import type { ResolvedQueueOptions } from "../../../parts/queue/index.ts";
import type { KeptJob } from "./kept-job.ts";

/** What is known of a group, and of the queue as a whole. */
export interface Share {
  /** Jobs under way. */
  readonly running: number;
  /** How many may begin now, by its rate. */
  readonly tokens: number;
  /** Rises with each job that was handed out, of whatever group; 0: never. */
  readonly servedAt: number;
}

export interface Choice {
  /** Of those that have not ended. */
  readonly jobs: readonly KeptJob[];
  readonly options: ResolvedQueueOptions;
  readonly queue: Share;
  readonly groups: ReadonlyMap<string, Share>;
  readonly jobsMax: number;
  readonly bytesMax: number;
}

const unknownShare: Share = { running: 0, tokens: Infinity, servedAt: 0 };

export function chooseStep({ jobs, options, queue, groups, jobsMax, bytesMax }: Choice): readonly KeptJob[] {
  const byGroup = new Map<string | undefined, KeptJob[]>();
  for (const job of jobs) {
    const members = byGroup.get(job.outgoing.group);
    if (members) members.push(job);
    else byGroup.set(job.outgoing.group, [job]);
  }
  const agingMs = options.priority?.agingMs ?? 0;
  const rank = (job: KeptJob) => job.readyAtMs - job.outgoing.priority * agingMs;
  const best = (a: KeptJob, b: KeptJob) => rank(a) - rank(b) || a.sequence - b.sequence;
  const lines = [...byGroup].map(([group, members]) => {
    const share = (group === undefined ? undefined : groups.get(group)) ?? unknownShare;
    const head = options.group?.ordered && members.reduce((a, b) => (a.sequence < b.sequence ? a : b));
    const ready = head ? [head].filter(isWaiting) : members.filter(isWaiting).sort(best);
    const room = group === undefined ? Infinity : (options.group?.concurrencyMax ?? Infinity) - share.running;
    return { ready, most: Math.min(room, share.tokens), servedAt: share.servedAt, taken: 0 };
  });

  const chosen: KeptJob[] = [];
  const room = (options.concurrencyMax ?? Infinity) - queue.running;
  const most = Math.floor(Math.min(jobsMax, room, queue.tokens));
  let bytes = 0;
  let turn = Number.MAX_SAFE_INTEGER / 2;
  while (chosen.length < most) {
    const able = lines.filter((line) => line.taken < line.ready.length && line.taken + 1 <= line.most);
    able.sort(
      (a, b) => a.servedAt - b.servedAt || best(a.ready[a.taken] as KeptJob, b.ready[b.taken] as KeptJob),
    );
    const [line] = able;
    const job = line?.ready[line.taken];
    if (!line || !job) break;
    bytes += job.outgoing.json.length;
    if (chosen.length > 0 && bytes > bytesMax) break;
    chosen.push(job);
    line.taken++;
    line.servedAt = turn++;
  }
  return chosen;
}

function isWaiting(job: KeptJob): boolean {
  return job.state === "waiting";
}
