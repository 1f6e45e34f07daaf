/**
 * Which standby takes a lost primary's place, if any may.
 *
 * With a quorum of q among n standbys, every acknowledged commit is on at least q of them. Among any n − q + 1 is
 * one that has it, so that the one which has received most of them has every acknowledged commit. Fewer may all
 * lack one. Without a quorum nothing was promised: the one that has received most loses least.
 */
export interface StandbyAnswer {
  readonly index: number;
  /** How much of the log it has; `undefined` when it does not answer. */
  readonly lsn: bigint | undefined;
}

export type PromotionVerdict =
  | { readonly kind: "promote"; readonly index: number; readonly lsn: bigint }
  | { readonly kind: "refuse"; readonly reachable: number; readonly needed: number };

/** @param quorum standbys that commits waited for, 0 when for none */
export function stepPromotion(standbys: readonly StandbyAnswer[], quorum: number): PromotionVerdict {
  const needed = quorum > 0 ? standbys.length - quorum + 1 : 1;
  let reachable = 0;
  let best: { readonly index: number; readonly lsn: bigint } | undefined;
  for (const { index, lsn } of standbys) {
    if (lsn === undefined) continue;
    reachable++;
    if (!best || lsn > best.lsn) best = { index, lsn };
  }
  if (!best || reachable < needed) return { kind: "refuse", reachable, needed };
  return { kind: "promote", ...best };
}
