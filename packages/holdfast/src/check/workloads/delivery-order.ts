/**
 * Order per key. One message was before another of its key when it was acknowledged before the other's putting in
 * began; of two that were under way at once nobody knows. Then its effect comes first, and the attempt that completed
 * it began before any attempt of the other did, unless both are in one batch, in their order: a retry holds up what follows.
 */
import { identity, shownValue } from "../equality.ts";
import type { Operation } from "../history/event.ts";
import type { AttemptValue, DeliveryFacts, DeliveryMessage } from "./delivery-facts.ts";
import type { WorkloadFindings } from "./findings.ts";

/** A message that was put in once, and what became of it. */
interface Ordered {
  readonly message: DeliveryMessage;
  readonly put: Operation;
  /** When the attempt began that completed it; before everything when none did. */
  readonly completedFrom: number;
  readonly effectAt: number | undefined;
}

export function judgeDeliveryOrder({ messages, reads }: DeliveryFacts, findings: WorkloadFindings): void {
  const read = reads.get("effects");
  for (const ordered of byKey(messages.values()).values()) {
    const acknowledged = [...ordered].sort((a, b) => a.put.returnIndex - b.put.returnIndex);
    let known = 0;
    let completedFrom = -1;
    let lastEffect: Ordered | undefined;
    for (const one of ordered) {
      for (
        ;
        (acknowledged[known]?.put.returnIndex ?? Number.POSITIVE_INFINITY) < one.put.callIndex;
        known++
      ) {
        const before = acknowledged[known] as Ordered;
        completedFrom = Math.max(completedFrom, before.completedFrom);
        if ((before.effectAt ?? -1) > (lastEffect?.effectAt ?? -1)) lastEffect = before;
      }
      // Most attempts began after all that was before them had been completed: only the others are looked at closely.
      const early = one.message.attempts.filter(({ callIndex }) => callIndex <= completedFrom);
      const overtaken =
        early.length > 0 && acknowledged.slice(0, known).find((a) => early.some((t) => overtook(t, one, a)));
      if (overtaken) tell("overtaken", "was begun", one, overtaken);
      if (lastEffect && one.effectAt !== undefined && one.effectAt < (lastEffect.effectAt ?? -1))
        tell("reordered", "had its effect", one, lastEffect);
    }
  }

  function tell(anomaly: string, what: string, one: Ordered, before: Ordered): void {
    const names = `${shownValue(one.message.id)} ${what} before ${shownValue(before.message.id)}`;
    findings.add(anomaly, `${names}, which came first under key ${shownValue(one.put.key)}.`, [
      ...[before, one].flatMap(({ put, message }) => [put, ...message.attempts.slice(0, 3)]),
      ...(anomaly === "reordered" && read ? [read] : []),
    ]);
  }
}

/** Whether an attempt at `one` began before the one that completed `before`. In one batch the order is the list's. */
function overtook({ callIndex, input }: Operation, one: Ordered, before: Ordered): boolean {
  if (before.completedFrom < callIndex) return false;
  const messages = (input as AttemptValue).messages.map(identity);
  const at = messages.indexOf(identity(before.message.id));
  return at < 0 || at > messages.indexOf(identity(one.message.id));
}

/** In the order in which putting in began. What has no key, or was put in more than once, has no order. */
function byKey(messages: Iterable<DeliveryMessage>): Map<unknown, Ordered[]> {
  const keys = new Map<unknown, Ordered[]>();
  for (const message of messages) {
    const [put, second] = message.puts;
    if (!put || second || put.key === undefined || put.outcome === "fail") continue;
    const ordered: Ordered = {
      message,
      put,
      completedFrom: message.attempts.find(({ outcome }) => outcome === "ok")?.callIndex ?? -1,
      effectAt: message.effects[0],
    };
    const key = identity(put.key);
    const list = keys.get(key);
    if (list) list.push(ordered);
    else keys.set(key, [ordered]);
  }
  for (const list of keys.values()) list.sort((a, b) => a.put.callIndex - b.put.callIndex);
  return keys;
}
