/** A restore in words: what was restored, and how far the nodes agree with each other. */
import { isoTime } from "../clock/index.ts";
import type { Restored, RestoreProgress } from "../runtime/restore-system.ts";
import { cutText } from "./backup-text.ts";
import { duration, size, textTable } from "./table.ts";

export function restoreProgressText({ step, bytes, bytesTotal, text }: RestoreProgress): string {
  if (step === "copying") return `Restoring: ${size(bytes)} of ${size(bytesTotal)} copied and checked`;
  if (step === "replaying") return `Restoring: ${text ?? "replaying the log"}`;
  return step === "promoting" ? "Restoring: ending the recovery" : "Restoring: putting it in its place";
}

export function restoreLines(restored: Restored, tookMs: number): string[] {
  const { manifest, nodes, bytes } = restored;
  const rows = nodes.map(({ node, lastCommitAtMs, stoppedAt, lsn, timeline }) => [
    node,
    lastCommitAtMs === null ? "none after the backup" : isoTime(lastCommitAtMs),
    stoppedAt === "target" ? "the target" : stoppedAt,
    lsn,
    String(timeline),
  ]);
  const lines = [
    `Restored ${manifest.system} from ${manifest.name} to ${targetOf(restored)}: ${size(bytes)} in ${duration(tookMs)}`,
    "",
    ...textTable(["NODE", "LAST COMMIT", "STOPPED AT", "LOG", "TIMELINE"], rows),
    "",
    agreementText(restored),
  ];
  const aside = nodes.flatMap(({ setAside }) => setAside);
  if (aside.length > 0) {
    lines.push("", "The data of before is set aside. Remove it when nothing of it is missed:");
    lines.push(...aside.map((dir) => `  ${dir}`));
  }
  lines.push(...preparedLines(restored));
  lines.push(
    "",
    "`holdfast up` starts it; replicas are made anew. Sessions that knew what is gone are told (HOLDFAST_WRITE_LOST).",
  );
  return lines;
}

export function restoreResult({ manifest, target, nodes, bytes }: Restored, tookMs: number) {
  return {
    system: manifest.system,
    backup: manifest.name,
    target,
    bytes,
    tookMs: Math.round(tookMs),
    nodes,
    consistency: agreementText({ manifest, target, nodes, bytes }),
  };
}

function targetOf({ target }: Restored): string {
  if (target.kind === "time") return isoTime(target.atMs);
  return target.kind === "cut" ? `cut ${target.cut.name}` : "the end of its log";
}

function agreementText({ target, nodes }: Restored): string {
  if (target.kind === "cut") return cutText(target.cut);
  if (nodes.length === 1) return "There is one node, which agrees with itself.";
  const commits = nodes.flatMap(({ lastCommitAtMs }) => (lastCommitAtMs === null ? [] : [lastCommitAtMs]));
  const apart = commits.length > 1 ? Math.ceil(Math.max(...commits) - Math.min(...commits)) : undefined;
  const spread = apart === undefined ? "" : ` The last commits restored are ${duration2(apart)} apart.`;
  return target.kind === "time"
    ? `Each node has what its own clock stamped up to ${isoTime(target.atMs)}, and nothing after.${spread} What committed on several nodes around that time, not at once on all of them, may be on some only; a cut made with \`holdfast backup --cut NAME --pause-writes\` has no such edge.`
    : `Each node has all that is left of its own log.${spread} Where a log ends early, what committed on several nodes after that is on the others only.`;
}

function duration2(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : duration(ms);
}

function preparedLines({ nodes }: Restored): string[] {
  const prepared = nodes.flatMap(({ node, prepared: open }) => open.map((one) => ({ node, ...one })));
  if (prepared.length === 0) return [];
  return [
    "",
    "Prepared transactions are open: their two-phase commit had begun and was not decided on these nodes at the target.",
    ...textTable(
      ["NODE", "DATABASE", "PREPARED AT", "GID"],
      prepared.map(({ node, database, preparedAtMs, gid }) => [node, database, isoTime(preparedAtMs), gid]),
    ),
    "They hold locks until they are settled. Those whose gid begins with holdfast: are Holdfast's: look up its decision, and",
    "settle them, as any other, with COMMIT PREPARED 'gid' or ROLLBACK PREPARED 'gid' in that database.",
  ];
}
