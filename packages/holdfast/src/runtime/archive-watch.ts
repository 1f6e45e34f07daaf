/**
 * The archives of a system's nodes: how they are getting on, and what is said when one begins to fail. Postgres keeps
 * what it cannot archive on the disk of the data, so that a failing archive is a disk that fills up.
 */
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, isoTime } from "../clock/index.ts";
import type { RunningNode } from "../engines/postgres/embedded/index.ts";
import type { ArchiveStatus } from "./status.ts";

/** Pause between two looks, in milliseconds. */
const lookMs = 10_000;

/** @param how `on` for the folder beside the data, `off`, or the absolute path of a folder that gets one a node */
export async function switchArchives(
  nodes: readonly RunningNode[],
  system: string,
  how: string,
): Promise<void> {
  for (const node of nodes) {
    await node.setArchive(how === "on" ? "default" : how === "off" ? null : join(how, system, node.name));
  }
}

/** One entry for each node that was ever decided about; none of a node that does not answer. */
export async function archiveStatuses(nodes: readonly RunningNode[]): Promise<ArchiveStatus[]> {
  const statuses = await Promise.all(
    nodes.map(async (node): Promise<ArchiveStatus | undefined> => {
      const { archiveDir, name } = node;
      if (archiveDir === undefined) return undefined;
      const none = { waitingBytes: 0, freeBytes: undefined, lastArchivedAtMs: null, failing: null };
      if (archiveDir === null) return { node: name, state: "off", dir: undefined, ...none };
      const state = await node.archiveState().catch(() => undefined);
      if (!state) return undefined;
      const disk = await statfs(node.primary.dataDir).catch(() => undefined);
      return {
        node: name,
        state: state.failing === null ? "on" : "failing",
        dir: archiveDir,
        waitingBytes: state.waiting * state.segmentBytes,
        freeBytes: disk && disk.bavail * disk.bsize,
        lastArchivedAtMs: state.lastArchivedAtMs,
        failing: state.failing,
      };
    }),
  );
  return statuses.filter((status) => status !== undefined);
}

export interface ArchiveWatchOptions {
  readonly nodes: readonly RunningNode[];
  readonly clock: Clock;
  readonly changed: (status: ArchiveStatus) => void;
  readonly stop: AbortSignal;
}

/** Tells of each archive that begins to fail, and of each that has caught up again. */
export function watchArchives({ nodes, clock, changed, stop }: ArchiveWatchOptions): void {
  const failing = new Set<string>();
  void (async () => {
    while (!stop.aborted) {
      await clock.sleep(lookMs, stop).catch(() => {});
      if (stop.aborted) return;
      for (const status of await archiveStatuses(nodes).catch(() => [])) {
        const fails = status.state === "failing";
        if (fails === failing.has(status.node)) continue;
        if (fails) failing.add(status.node);
        else failing.delete(status.node);
        changed(status);
      }
    }
  })();
}

/** What the supervisor says of a change. */
export function archiveNotice(status: ArchiveStatus): ["info" | "error", string] {
  return status.state === "failing"
    ? ["error", failingText(status)]
    : ["info", `${status.node}: its log is archived again`];
}

/** What is wrong, what it leads to, and what to do. */
export function failingText({
  node,
  dir,
  failing,
  waitingBytes,
  freeBytes,
  lastArchivedAtMs,
}: ArchiveStatus): string {
  const last =
    lastArchivedAtMs === null ? "nothing was archived yet" : `the last was at ${isoTime(lastArchivedAtMs)}`;
  const room = freeBytes === undefined ? "" : `, where ${mebibytes(freeBytes)} are free`;
  return (
    `${node}: ${failing} cannot be archived to ${dir} (${last}). ${mebibytes(waitingBytes)} wait on the disk of the data${room}; when it is full, writes stop. ` +
    `Make room in the archive (\`holdfast backup --keep N\` removes what no kept backup needs), or see why in the server's log; \`holdfast backup --archive off\` gives the archive up, and what was written since then cannot be restored`
  );
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
