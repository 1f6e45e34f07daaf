/**
 * Exactly once, in order: what was published (`publish`, one number after the other to a key) and what a last
 * `read` found as `[key, number]`, in the order in which it came. An acknowledged message is there once, a failed
 * one is not there, an unknown one may be there once; those of one key are in the order of their publishing.
 */
import type { Operation, Witness, WitnessOperation } from "../../check/index.ts";
import type { RecordedChecker } from "./workload.ts";

const name = "delivered once, in order";
/** At most this many contradictions are told. */
const witnessesMax = 5;

export const deliveredOnceInOrder: RecordedChecker = {
  name,
  check(operations) {
    const read = operations.findLast(({ f, outcome }) => f === "read" && outcome === "ok");
    if (!read) {
      const reason = "nobody read at the end what was delivered";
      return { model: name, verdict: "unknown", reason, witnesses: [], operations: operations.length };
    }
    const publishes = operations.filter(({ f }) => f === "publish");
    const witnesses = contradictions(publishes, read).slice(0, witnessesMax);
    const verdict = witnesses.length > 0 ? "illegal" : "ok";
    return { model: name, verdict, witnesses, operations: operations.length };
  },
};

function contradictions(publishes: readonly Operation[], read: Operation): Witness[] {
  const published = new Map(publishes.map((publish) => [`${publish.key} ${publish.input}`, publish]));
  const delivered = read.output as readonly (readonly [string, number])[];
  const times = new Map<string, number>();
  const last = new Map<string, Operation>();
  const witnesses: Witness[] = [];
  const tell = (anomaly: string, summary: string, ...involved: Operation[]) =>
    witnesses.push({ anomaly, summary, steps: [], operations: [...involved, read].map(shown), edges: [] });

  for (const [key, number] of delivered) {
    const message = `${key} ${number}`;
    const publish = published.get(message);
    times.set(message, (times.get(message) ?? 0) + 1);
    if (publish === undefined) {
      tell("phantom", `Message ${message} was delivered, and nobody published it.`);
      continue;
    }
    if (publish.outcome === "fail") {
      tell(
        "failed-delivery",
        `Message ${message} was delivered, although publishing it had failed.`,
        publish,
      );
    }
    if (times.get(message) === 2)
      tell("duplicate", `Message ${message} was delivered more than once.`, publish);
    const before = last.get(key);
    // One that had an unknown outcome may be committed late: after it the order is nobody's promise.
    if (before && publish.returnIndex < before.callIndex && times.get(message) === 1) {
      tell("reordered", `Message ${message} was delivered after ${key} ${before.input}.`, publish, before);
    }
    last.set(key, publish);
  }
  for (const [message, publish] of published) {
    if (publish.outcome === "ok" && !times.has(message)) {
      tell("lost", `Message ${message} was acknowledged, and never delivered.`, publish);
    }
  }
  return witnesses;
}

function shown(operation: Operation): WitnessOperation {
  const { process, f, key, input, outcome, callIndex, callNs, returnNs } = operation;
  return {
    process,
    label: f === "read" ? "read what was delivered" : `${f} ${key} ${input}`,
    outcome,
    callIndex,
    startNs: callNs,
    ...(Number.isFinite(returnNs) ? { endNs: returnNs } : {}),
    involved: true,
  };
}
