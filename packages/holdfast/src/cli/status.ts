/** `holdfast status`: what runs, where, since when, and what went wrong last. */
import { isoTime, systemClock } from "../clock/index.ts";
import { failingText } from "../runtime/archive-watch.ts";
import { askControl } from "../runtime/control.ts";
import { failoverNotice } from "../runtime/failover-notice.ts";
import type { MessagesStatus } from "../runtime/open-messages.ts";
import { findProject } from "../runtime/project.ts";
import type { PartInstanceStatus, ServerStatus, SystemStatus } from "../runtime/status.ts";
import { type WarningStatus, warningText } from "../runtime/warning-board.ts";
import { type Command, exitCodes } from "./command.ts";
import { messagesLines } from "./messages-text.ts";
import { printable } from "./printable.ts";
import { requireSupervisor } from "./require-supervisor.ts";
import { outboxLines } from "./status-outbox.ts";
import { scheduleLines } from "./status-schedules.ts";
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
    const messages = await lookAtMessages(record.socket);
    if (values.json) io.out(JSON.stringify({ ...status, ...messages }));
    else for (const line of statusLines(status, messages)) io.out(line);
    return exitCodes.ok;
  },
};

/** How long homes get to say how much waits, in milliseconds: a status must come also while one is away. */
const messagesMs = 3_000;

/** @returns what waits in queues and topics, or why nobody knows */
async function lookAtMessages(socket: string): Promise<MessagesLook> {
  try {
    // Loaded here, because a system without queues and topics needs none of it.
    const { openMessages, messagesStatus } = await import("../runtime/open-messages.ts");
    await using open = await openMessages(socket, systemClock);
    if (open.queues.size + open.topics.size === 0) return { queues: [], topics: [] };
    return await messagesStatus(open, systemClock, messagesMs);
  } catch (error) {
    return { queues: [], topics: [], messagesError: (error as Error).message };
  }
}

interface MessagesLook extends MessagesStatus {
  readonly messagesError?: string;
}

const noMessages: MessagesLook = { queues: [], topics: [] };

export function statusLines(status: SystemStatus, messages: MessagesLook = noMessages): string[] {
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
  lines.push(...messagesLines(messages));
  if (messages.messagesError)
    lines.push("", `How much waits in queues and topics is not known: ${printable(messages.messagesError)}`);
  lines.push(...outboxLines(status.outbox));
  if (status.inDoubt.length > 0) lines.push("", ...inDoubtLines(status.inDoubt));
  if (status.shards.length > 0) lines.push("", ...shardLines(status.shards));
  if (status.schedules.length > 0) lines.push("", ...scheduleLines(status.schedules));
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
