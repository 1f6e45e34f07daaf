/**
 * Keeps the quorum of a node as its databases declared it while its replicas come and go, and says when commits
 * wait for some that are away, or go without them.
 */
import type { Clock } from "../clock/index.ts";
import type { RunningNode } from "../engines/postgres/embedded/index.ts";
import { type NodeReplication, type ReplicationState, stepReplication } from "./replication-step.ts";
import type { ReplicationStatus } from "./status.ts";

/** How long replicas that have just been started may take to stream, in milliseconds. */
const startMsMax = 10_000;
const startLookMs = 50;

export interface ReplicationWatchOptions {
  readonly node: RunningNode;
  readonly policy: NodeReplication;
  readonly clock: Clock;
  readonly changed: (status: ReplicationStatus) => void;
  readonly progress: (text: string) => void;
  readonly stop: AbortSignal;
  /** Pause between two looks, in milliseconds. Default 1_000. Shorter degrades sooner, also for a short absence. */
  readonly lookMs?: number;
}

export interface ReplicationWatch {
  status(): ReplicationStatus;
}

/** Sets the quorum before anybody writes. @returns once it holds */
export async function watchReplication(options: ReplicationWatchOptions): Promise<ReplicationWatch> {
  const { node, policy, clock, stop, lookMs = 1_000 } = options;
  let streaming = await untilStreaming(options);
  let state: ReplicationState = {
    quorum: policy.onReplicaLoss === "stall" ? policy.quorum : Math.min(policy.quorum, streaming),
    short: 0,
  };
  await node.setQuorum(state.quorum);
  const status = (): ReplicationStatus => ({
    node: node.name,
    declared: policy.quorum,
    quorum: state.quorum,
    streaming,
    state: streaming < state.quorum ? "stalled" : state.quorum < policy.quorum ? "degraded" : "protected",
  });
  let told = status().state;
  const tell = () => {
    const now = status();
    if (now.state === told) return;
    told = now.state;
    options.changed(now);
  };
  const look = async () => {
    streaming = await node.streaming();
    const next = stepReplication(state, policy, streaming);
    if (next.quorum !== state.quorum) await node.setQuorum(next.quorum);
    state = next;
    tell();
  };
  void (async () => {
    while (!stop.aborted) {
      await clock.sleep(lookMs, stop).catch(() => {});
      // A primary that is away is started again with the quorum as it was; there is nothing to decide meanwhile.
      if (!stop.aborted) await look().catch(() => {});
    }
  })();
  return { status };
}

async function untilStreaming({
  node,
  policy,
  clock,
  progress,
  stop,
}: ReplicationWatchOptions): Promise<number> {
  const untilMs = clock.monotonicMs() + startMsMax;
  for (;;) {
    const streaming = await node.streaming();
    if (streaming >= policy.quorum || clock.monotonicMs() >= untilMs) return streaming;
    progress(`${node.name}: waiting for replicas, ${streaming} of ${policy.quorum} stream`);
    await clock.sleep(startLookMs, stop);
  }
}

/** What the supervisor says of a change. */
export function replicationNotice(status: ReplicationStatus): ["info" | "warn" | "error", string] {
  const { node, declared, quorum, streaming, state } = status;
  if (state === "protected") return ["info", `${node}: commits are on ${quorum} of its replicas again`];
  if (state === "degraded") {
    return [
      "warn",
      `${node}: ${streaming} of ${declared} replicas stream; commits go without the others, and losing the primary may lose them`,
    ];
  }
  return ["error", `${node}: commits wait for ${quorum} replicas, and ${streaming} stream`];
}
