/** `holdfast status`: what runs, where, since when, and what went wrong last. */
import { isoTime } from "../clock/index.ts";
import { failingText } from "../runtime/archive-watch.ts";
import { askControl } from "../runtime/control.ts";
import { failoverNotice } from "../runtime/failover-notice.ts";
import { findProject } from "../runtime/project.ts";
import type { PartInstanceStatus, ServerStatus, SystemStatus } from "../runtime/status.ts";
import { type WarningStatus, warningText } from "../runtime/warning-board.ts";
import { type Command, exitCodes } from "./command.ts";
import { requireSupervisor } from "./require-supervisor.ts";
import { changeLines } from "./status-changes.ts";
import { outboxLines } from "./status-outbox.ts";
import { shardLines } from "./status-shards.ts";
import { duration, size, textTable } from "./table.ts";

export const statusCommand: Command = {
  name: "status",
  summary: "Show what runs: every process with its state, id, port, restarts and last error.",
  positionals: 0,
  options: { json: { type: "boolean", help: "Print one JSON object." } },
  async run({ values, io }) {
    const record = await requireSupervisor(findProject(io.cwd));
    const status = (await askControl(record.socket, "GET", "/status")) as SystemStatus;
    if (values.json) io.out(JSON.stringify(status));
    else for (const line of statusLines(status)) io.out(line);
    return exitCodes.ok;
  },
};

export function statusLines(status: SystemStatus): string[] {
  const doing = status.step ? ` (${status.step})` : "";
  const lines = [
    `${status.system}  ${status.state}${doing} for ${duration(status.upMs)}, supervisor ${status.pid}`,
    ...(status.url ? [`gateway  ${status.url}`] : []),
    "",
    ...textTable(
      ["NAME", "KIND", "STATE", "PID", "PORT", "RESTARTS", "UP", "MEMORY", "LAG"],
      [...status.instances.map(instanceRow), ...status.servers.map(serverRow)],
    ),
  ];
  if (status.replication.length > 0) {
    const rows = status.replication.map(({ node, state, quorum, declared, streaming }) => [
      node,
      state,
      `${quorum} of ${declared}`,
      String(streaming),
    ]);
    lines.push("", ...textTable(["NODE", "COMMITS", "WAIT FOR", "STREAMING"], rows));
  }
  if (status.archives.length > 0) {
    const rows = status.archives.map(({ node, state, waitingBytes, lastArchivedAtMs }) => [
      node,
      state,
      state === "off" ? "" : size(waitingBytes),
      lastArchivedAtMs === null ? "" : isoTime(lastArchivedAtMs),
    ]);
    lines.push("", ...textTable(["NODE", "ARCHIVE", "WAITING", "LAST ARCHIVED"], rows));
    const failing = status.archives.filter(({ state }) => state === "failing");
    if (failing.length > 0) lines.push("", ...failing.map(failingText));
  }
  lines.push(...outboxLines(status.outbox));
  if (status.inDoubt.length > 0) lines.push("", ...inDoubtLines(status.inDoubt));
  if (status.shards.length > 0) lines.push("", ...shardLines(status.shards));
  if (status.changes.length > 0)
    lines.push("", ...printable(changeLines(status.changes).join("\n")).split("\n"));
  if (status.failovers.length > 0) lines.push("", ...status.failovers.map(failoverNotice));
  if (status.warnings.length > 0) lines.push("", "Warnings:", ...status.warnings.map(warningLine));
  const failed = [...status.instances, ...status.servers].filter(({ lastError }) => lastError);
  if (failed.length > 0) lines.push("", "Last errors:");
  for (const { name, lastError } of failed) {
    const [first, ...rest] = printable(lastError ?? "").split("\n");
    lines.push(`  ${name}: ${first}`, ...rest.map((line) => `    ${line}`));
  }
  return lines;
}

function inDoubtLines(inDoubt: SystemStatus["inDoubt"]): string[] {
  const rows = inDoubt.map(({ database, node, ageMs, why, gid, overdue }) => [
    database,
    node,
    duration(ageMs) + (overdue ? " (!)" : ""),
    why,
    printable(gid).replace(/\s/g, " "),
  ]);
  const advice = [...new Set(inDoubt.map(({ why, advice }) => `  ${why}: ${printable(advice)}`))];
  return [
    "Prepared transactions hold their locks, keep vacuum back and block logical replication:",
    ...textTable(["DATABASE", "NODE", "AGE", "WHY", "GID"], rows),
    ...advice,
  ];
}

function warningLine(warning: WarningStatus): string {
  return `  ${printable(warningText(warning))} (seen by ${warning.instances.join(", ")})`;
}

/** An error may quote what a request brought; that must not move the cursor of whoever reads it. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: taking control characters out is the point.
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "�");
}

function instanceRow(instance: PartInstanceStatus): string[] {
  return [
    instance.name,
    instance.kind,
    instance.state,
    text(instance.pid),
    text(instance.port),
    String(instance.restarts),
    instance.upMs === undefined ? "" : duration(instance.upMs),
    instance.memoryBytes ? size(instance.memoryBytes) : "",
    "",
  ];
}

function serverRow(server: ServerStatus): string[] {
  return [
    server.name,
    server.role,
    server.state,
    text(server.pid),
    String(server.port),
    String(server.restarts),
    "",
    "",
    server.lagBytes === undefined ? "" : size(server.lagBytes),
  ];
}

function text(value: number | undefined): string {
  return value === undefined ? "" : String(value);
}
