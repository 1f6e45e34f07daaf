/**
 * What each part promises when the network is cut and when it is not (CAP, PACELC), how long until another has
 * taken over, and what may be lost.
 *
 * @see D. Abadi, "Consistency Tradeoffs in Modern Distributed Database System Design", IEEE Computer 45(2), 2012
 */
import type { PartSize } from "../estimate/part-size.ts";
import type { Interval } from "../models/interval.ts";

export interface PartPromise {
  readonly part: string;
  /** `PC/EL`: consistent under partition, else latency first. `none` for what keeps nothing. */
  readonly pacelc: "PC/EC" | "PC/EL" | "PA/EL" | "none";
  readonly underPartition: string;
  readonly otherwise: string;
  /** Until another has taken over, in milliseconds. `undefined`: it is not ours to recover. */
  readonly recoveryMs: Interval | undefined;
  readonly loss: string;
}

export function promiseOf({ part, replicas, facts }: PartSize): PartPromise {
  return { part: part.name, recoveryMs: facts.recoveryMs, ...words(part, replicas) };
}

function words(
  { kind, inCode, replication, backup }: PartSize["part"],
  replicas: number,
): Omit<PartPromise, "part" | "recoveryMs"> {
  switch (kind) {
    case "database":
    case "search": {
      const synchronous = replication === "synchronous" && replicas > 0;
      return {
        pacelc: synchronous || replicas === 0 ? "PC/EC" : "PC/EL",
        underPartition:
          replicas > 0
            ? "writes and strong reads only where the primary is; replicas go on answering, older"
            : "nothing can be read or written where its one copy cannot be reached",
        otherwise: synchronous
          ? "a write waits for a replica: dearer, and nothing acknowledged is lost with the primary"
          : replicas > 0
            ? "a write waits for the primary's disk alone; replicas follow, so their reads may be older"
            : "one copy: what is read is what was written",
        loss: synchronous
          ? "nothing acknowledged"
          : replicas > 0
            ? "when the primary's disk is lost, what the replicas had not yet received"
            : backup
              ? "when its disk is lost, everything since the last backup"
              : "when its disk is lost, everything",
      };
    }
    case "topic":
    case "queue":
      return {
        pacelc: "PC/EC",
        underPartition: "nothing can be published where its home cannot be reached",
        otherwise: "a publish waits until it is on disk",
        loss: "as its home",
      };
    case "cache":
    case "cdn":
      return {
        pacelc: "PA/EL",
        underPartition: "answers what it has, for as long as it may",
        otherwise: inCode
          ? "answers what it has; word of a change comes within milliseconds"
          : "answers what it has until it expires or is told",
        loss: "everything, and it is loaded again",
      };
    case "bucket":
      return {
        pacelc: "PC/EC",
        underPartition: "refuses where a majority of its copies cannot be reached",
        otherwise: "a write waits for several copies",
        loss: "nothing acknowledged, by the provider's own promise",
      };
    case "external":
      return {
        pacelc: "none",
        underPartition: "cannot be asked",
        otherwise: "as its owner promises",
        loss: "as its owner promises",
      };
    default:
      return {
        pacelc: "none",
        underPartition: "answers whoever reaches it, from what it can reach itself",
        otherwise: "keeps nothing",
        loss: "requests under way",
      };
  }
}
