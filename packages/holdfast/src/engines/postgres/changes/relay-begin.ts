/**
 * Where a round begins to read: at the stored position, when the slot and the server's history still have it
 * (`feed-step.ts`); otherwise at a new slot, with what was missed told as a gap.
 */
import { shardsOfNode } from "../shard-place.ts";
import { formatLsn, type Line } from "../timeline.ts";
import { gapError } from "./feed-event.ts";
import type { FeedClaim, FeedCursor } from "./feed-home.ts";
import { feedProblems, isPublished, publishFeed, refusedError } from "./feed-publication.ts";
import { dropFeedSlot, makeFeedSlot, readFeedSlot } from "./feed-slot.ts";
import { stepFeed } from "./feed-step.ts";
import { type NodeRelayOptions, type RelayOfRound, waitLookMs } from "./relay-options.ts";

export interface FeedBeginning {
  /** Of the server. */
  readonly major: number;
  readonly cursor: FeedCursor;
  readonly isGap: boolean;
}

/** How long a server may take to notice that a relay has gone, in milliseconds. */
const freeMsMax = 3_000;

/** One relay reads a slot at a time: while another one does, this one takes nothing over. */
export async function untilSlotIsFree(
  { node, nodes, published: { object } }: NodeRelayOptions,
  signal: AbortSignal,
): Promise<void> {
  const { clock } = nodes;
  const untilMs = clock.monotonicMs() + freeMsMax;
  for (;;) {
    const slot = await nodes.primary(node).use((session) => readFeedSlot(session, object));
    if (slot.state !== "there" || !slot.active) return;
    if (clock.monotonicMs() >= untilMs)
      throw new Error("another relay reads its slot; this one takes over when that one ends");
    await clock.sleep(waitLookMs, signal);
  }
}

/** Finds the place in the log to go on from, or makes one. */
export async function beginFeed(
  options: NodeRelayOptions,
  claim: FeedClaim,
  patiently: RelayOfRound["patiently"],
): Promise<FeedBeginning> {
  const { node, published, from, nodes, home, moves, tell, onStep } = options;
  const { object, feed } = published;
  const { facts, slot, isThere, major, problems } = await nodes.primary(node).use(async (session) => {
    const { rows } = await session.send<{ major: number }>({
      text: "select current_setting('server_version_num')::int / 10000 as major",
    });
    const slot = await readFeedSlot(session, object);
    return {
      facts: session.facts,
      slot,
      isThere: await isPublished(session, object),
      major: rows[0]?.major ?? 15,
      problems: await feedProblems(session, node, published, slot.state !== "none"),
    };
  });
  if (problems.length > 0) throw refusedError(feed, problems);
  const pool = nodes.primary(node);
  const line: Line = await nodes.watch(node).histories.lineOf(pool, facts.system, facts.timeline);
  const step = stepFeed({ stored: claim.cursor, slot, published: isThere, line });
  const here = { system: line.system, timeline: line.timeline };
  if (step.kind === "wait") throw new Error(step.why);
  if (step.kind === "resume" && claim.cursor) {
    await nodes.primary(node).use((session) => publishFeed(session, published, false));
    return { major, cursor: { ...claim.cursor, ...here }, isGap: false };
  }
  await nodes.primary(node).use(async (session) => {
    if (slot.state !== "none") await dropFeedSlot(session, object);
    // Tables first: what the slot tells is decided by the publication as it was at each change.
    await publishFeed(session, published, true);
  });
  onStep("published");
  const lsn = await patiently((on) => makeFeedSlot(on, object), major);
  onStep("slot-made");
  const cursor: FeedCursor = { ...here, lsn, part: undefined };
  const reason = step.kind === "gap" ? step.reason : null;
  const shards =
    reason !== null
      ? await moves.shardsEverOn(node)
      : from === "snapshot"
        ? shardsOfNode(await moves.map(), node)
        : [];
  await home.append(claim, cursor, [], { shards, reason, initial: reason === null });
  onStep("begun");
  if (reason === null) tell({ kind: "began", feed, node, lsn: formatLsn(lsn) });
  else tell({ kind: "gap", feed, node, shards, error: gapError(feed, node, shards, reason) });
  return { major, cursor, isGap: reason !== null };
}
