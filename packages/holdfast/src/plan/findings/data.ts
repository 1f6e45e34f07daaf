/** Findings about what is read, written and kept: freshness, repetition, several shards, backups. */

import { type PartSize, shardsTouched } from "../estimate/part-size.ts";
import { daySeconds } from "../estimate/rates.ts";
import { formatValue } from "../format.ts";
import type { ResolvedOperation, ResolvedStep } from "../requirements/resolved.ts";
import type { FindingContext } from "./context.ts";
import { type Evidence, evidence, type Finding, finding } from "./finding.ts";

export function dataFindings(context: FindingContext): readonly Finding[] {
  return [
    ...crossShards(context),
    ...staleReads(context),
    ...needlessStrongReads(context),
    ...missingIdempotency(context),
    ...backups(context),
  ];
}

function eachStep<T>(
  { requirements, sizes }: FindingContext,
  look: (operation: ResolvedOperation, step: ResolvedStep, size: PartSize) => readonly T[],
): T[] {
  return requirements.operations.flatMap((operation) =>
    operation.path.flatMap((step) => {
      const size = sizes.get(step.part);
      return size ? look(operation, step, size) : [];
    }),
  );
}

function crossShards(context: FindingContext): Finding[] {
  return eachStep(context, (operation, step, { part, count }) => {
    const shards = Math.max(part.shards ?? 1, count);
    if (step.keys.high <= 1 || shards < 2 || (part.kind !== "database" && part.kind !== "search")) return [];
    // Shards that k keys fall on, when each of s is as likely: s (1 − (1 − 1/s)^k).
    const touched = shardsTouched(step.keys.mid, shards);
    const writes = step.does === "write";
    return [
      finding({
        kind: "cross-shard-operation",
        severity: writes ? "critical" : "warning",
        subject: `${operation.name}.${part.name}`,
        title: `one ${operation.name} ${writes ? "writes" : "reads"} keys on ${formatValue(touched, "count")} shards of ${part.name}${writes ? ", which no transaction spans" : ", and waits for the slowest"}`,
        evidence: [
          evidence("keys of a call", step.keys, "count"),
          evidence("shards", shards, "count"),
          evidence("shards touched", touched, "count"),
          evidence("calls with a slow one", 1 - 0.99 ** touched, "ratio"),
        ],
        remedy: writes
          ? "Choose a key that keeps together what changes together, or send the other shards' part through a topic and apply it once there."
          : "Keep a copy by the key that is asked for, or ask the shards at once and hedge the slow one.",
      }),
    ];
  });
}

const freshness = { eventual: 0, session: 1, strong: 2 } as const;

function staleReads(context: FindingContext): Finding[] {
  return eachStep(context, (operation, step, { part, replicas }) => {
    if (step.does !== "read" || operation.consistency === "eventual") return [];
    const why = staleness(operation, step, part, replicas);
    if (!why) return [];
    return [
      finding({
        kind: "stale-read",
        severity: operation.consistency === "strong" ? "critical" : "warning",
        subject: `${operation.name}.${part.name}`,
        title: `${operation.name} should read ${operation.consistency}, and ${why.title}`,
        evidence: why.evidence,
        remedy: why.remedy,
      }),
    ];
  });
}

function staleness(
  operation: ResolvedOperation,
  step: ResolvedStep,
  part: PartSize["part"],
  replicas: number,
): { readonly title: string; readonly evidence: readonly Evidence[]; readonly remedy: string } | undefined {
  if (part.kind === "cache" || part.kind === "cdn") {
    // An invalidation that commits with the write keeps a session fresh; nothing that expires is ever strong.
    if (operation.consistency !== "strong" && part.inCode) return undefined;
    return {
      title: `${part.name} answers what it kept`,
      evidence: part.ttlMs ? [evidence("as old as", part.ttlMs, "ms")] : [],
      remedy:
        operation.consistency === "strong"
          ? "Read from the primary, past the cache."
          : "Invalidate in the transaction of the write, and let who wrote read past older entries.",
    };
  }
  if (freshness[step.level] >= freshness[operation.consistency] || replicas === 0) return undefined;
  return {
    title: `its read of ${part.name} is ${step.level}, ${replicas === 1 ? "perhaps from the replica" : `perhaps from one of ${replicas} replicas`}`,
    evidence: [evidence("replicas that may be behind", replicas, "count")],
    remedy: `Read ${part.name} with level ${operation.consistency}.`,
  };
}

function needlessStrongReads(context: FindingContext): Finding[] {
  return eachStep(context, (operation, step, { part, replicas, load, facts }) => {
    const strong = step.does === "read" && step.level === "strong" && operation.consistency !== "strong";
    if (!strong || part.kind !== "database") return [];
    const asked = load.from.find((one) => one.step === step)?.peak;
    return [
      finding({
        kind: "needless-strong-read",
        severity: "warning",
        subject: `${operation.name}.${part.name}`,
        title: `${operation.name} reads ${part.name} from its primary, and ${operation.consistency} would do`,
        evidence: [
          ...(asked ? [evidence("reads on the primary", asked, "/s")] : []),
          ...(facts.readsPerSecond ? [evidence("a primary answers", facts.readsPerSecond, "/s")] : []),
          evidence("replicas that could", replicas, "count"),
        ],
        remedy: `Read with level ${operation.consistency}: replicas then take these reads, and go on while the primary is away.`,
      }),
    ];
  });
}

function missingIdempotency({ requirements, rates, availabilities }: FindingContext): Finding[] {
  return requirements.operations.flatMap((operation) => {
    if (operation.does !== "write" || operation.idempotent !== "no" || operation.retries === 0) return [];
    const rate = rates.get(operation.name)?.average.mid ?? 0;
    const up = availabilities.find((one) => one.operation === operation.name)?.availability.mid ?? 1;
    const calls = rate * daySeconds;
    return finding({
      kind: "missing-idempotency",
      severity: "critical",
      subject: operation.name,
      title: `${operation.name} is tried again when its outcome is unknown, and nothing makes it happen once`,
      evidence: [
        evidence("calls a day", calls, "count"),
        evidence("that may fail", 1 - up, "ratio"),
        evidence("calls a day that may happen twice, at most", calls * (1 - up), "count"),
      ],
      remedy: "Take an idempotency key, and keep the result with it in the transaction of the write.",
    });
  });
}

/** Bytes a second of the network that a copy is read back over, as a first bound. */
const gigabitBytes = 125e6;

function backups({ requirements, volumes, sizes }: FindingContext): Finding[] {
  return requirements.parts.flatMap((part): Finding[] => {
    const kept = volumes.filter(({ data }) => data.in === part.name && data.durability !== "rebuildable");
    if (kept.length === 0 || part.kind === "external") return [];
    const bytes = kept.reduce((sum, volume) => sum + volume.copyBytes.mid, 0);
    const critical = kept.some(({ data }) => data.durability === "critical");
    const names = kept.map(({ data }) => data.name).join(", ");
    if (!part.backup) {
      return [
        finding({
          kind: "no-backup",
          severity: critical ? "critical" : "warning",
          subject: part.name,
          title: `${part.name} keeps ${names}, and nothing is said of a backup`,
          evidence: [
            evidence("data at the horizon", bytes, "B"),
            evidence(
              "copies, which follow a wrong delete too",
              1 + (sizes.get(part.name)?.replicas ?? 0),
              "count",
            ),
          ],
          remedy: "Back it up, elsewhere, and restore it once to know how long that takes.",
        }),
      ];
    }
    if (part.backup.restoredInHours) return [];
    const hourMs = 3_600_000;
    const nodes = sizes.get(part.name)?.count ?? 1;
    return [
      finding({
        kind: "backup-never-restored",
        severity: critical ? "critical" : "warning",
        subject: part.name,
        title: `nobody has restored a backup of ${part.name}`,
        evidence: [
          evidence("data at the horizon", bytes, "B"),
          evidence("may be lost, since the last backup", part.backup.everyHours.mid * hourMs, "ms"),
          ...(part.kind === "bucket"
            ? []
            : [
                evidence(
                  "reading it back over 1 Gbit/s, each node",
                  (bytes / nodes / gigabitBytes) * 1_000,
                  "ms",
                ),
              ]),
        ],
        remedy:
          "Restore it into an empty place, check it, write down how long it took, and do that regularly.",
      }),
    ];
  });
}
