/** Restores of a project's stopped system: which backup leads to the target, and nobody else at work meanwhile. */
import { join, resolve } from "node:path";
import { HoldfastError } from "../call/index.ts";
import { type Clock, isoTime } from "../clock/index.ts";
import type { FoundBackup } from "../engines/postgres/backup/backup-folder.ts";
import { readCatalogue } from "../engines/postgres/backup/catalogue.ts";
import {
  type Restored,
  type RestoreProgress,
  restoreNodes,
} from "../engines/postgres/backup/restore-nodes.ts";
import type { RestoreTarget } from "../engines/postgres/backup/restore-target.ts";
import { backupNamed, backupNotFound, projectBackups } from "./backup-list.ts";
import { stopLeftChildren, stopLeftServers } from "./leftovers.ts";
import { makeSystemFolders, type Project, systemPaths, systemsOf } from "./project.ts";
import { alreadyRunning, claimProject, runningSupervisor } from "./supervisor-file.ts";

/** What a person wants: `cut` names a backup's or another cut; `backup` is the named backup's own cut. */
export type WantedTarget =
  | { readonly kind: "cut"; readonly name: string }
  | { readonly kind: "time"; readonly atMs: number }
  | { readonly kind: "backup" }
  | { readonly kind: "latest" };

export type { Restored, RestoreProgress };

export interface RestoreSystemOptions {
  readonly project: Project;
  /** What the folder of a backup is relative to. */
  readonly cwd: string;
  /** Name of a backup, or its folder. Default: the newest that leads to the target. */
  readonly backup?: string;
  readonly wanted: WantedTarget;
  /** The folder that `--archive` of a backup was given, when the nodes' records do not know it any more. */
  readonly archives?: string;
  readonly foreign: boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: RestoreProgress) => void;
}

/** @throws {HoldfastError} as `restoreNodes`; HOLDFAST_ALREADY_RUNNING while the project's system runs */
export async function restoreSystem(options: RestoreSystemOptions): Promise<Restored> {
  const { project, clock } = options;
  const running = await runningSupervisor(project);
  if (running) throw alreadyRunning(running);
  const { backup, target } = await chooseBackup(options);
  const { system } = backup.manifest;
  refuseOtherSystem(options, system);
  // Nobody starts the system while it is restored.
  const claim = await claimProject(project, system, "");
  try {
    if (claim.stale) {
      await stopLeftChildren(claim.stale, clock);
      await stopLeftServers(project, claim.stale.system, clock);
    }
    const paths = systemPaths(project, system);
    makeSystemFolders(paths);
    const { archives, foreign, signal, onProgress } = options;
    return await restoreNodes({
      backupDir: backup.dir,
      target,
      dir: paths.postgres,
      ...(archives === undefined ? {} : { archives: join(resolve(archives), system) }),
      foreign,
      clock,
      signal,
      onProgress,
    });
  } finally {
    claim.release();
  }
}

interface Choice {
  readonly backup: FoundBackup;
  readonly target: RestoreTarget;
}

async function chooseBackup({ project, backup: named, wanted, cwd }: RestoreSystemOptions): Promise<Choice> {
  const candidates =
    named === undefined ? (await projectBackups(project)).whole : [await backupNamed(project, named, cwd)];
  const of = new Set(candidates.map(({ manifest }) => manifest.system));
  if (of.size > 1) {
    throw new HoldfastError(
      "HOLDFAST_USAGE",
      `There are backups of ${[...of].sort().join(" and ")}. Name the one to restore: \`holdfast restore BACKUP\`; \`holdfast backup --list\` shows them.`,
    );
  }
  const newest = candidates.at(-1);
  if (!newest)
    throw backupNotFound(
      `There is no backup in ${project.backups}. Make one with \`holdfast backup\`, or name the folder of one.`,
    );
  if (wanted.kind === "latest") return { backup: newest, target: { kind: "latest" } };
  if (wanted.kind === "backup") return { backup: newest, target: { kind: "cut", cut: newest.manifest.cut } };
  if (wanted.kind === "time") {
    const target = { kind: "time", atMs: wanted.atMs } as const;
    if (named !== undefined) return { backup: newest, target };
    const backup = candidates.findLast((one) => completeAtMs(one) <= wanted.atMs);
    if (backup) return { backup, target };
    const earliest = Math.min(...candidates.map(completeAtMs));
    throw backupNotFound(
      `No backup is from before ${isoTime(wanted.atMs)}: the earliest time that can be restored is ${isoTime(earliest)}.`,
    );
  }
  return chooseCut(project, candidates, wanted.name);
}

async function chooseCut(
  project: Project,
  candidates: readonly FoundBackup[],
  name: string,
): Promise<Choice> {
  const own = candidates.find(({ manifest }) => manifest.cut.name === name || manifest.name === name);
  if (own) return { backup: own, target: { kind: "cut", cut: own.manifest.cut } };
  const { cuts } = await readCatalogue(systemPaths(project, candidates[0]?.manifest.system ?? "").postgres);
  const cut = cuts.find((one) => one.name === name);
  if (!cut) {
    const names = [...candidates.map(({ manifest }) => manifest.cut.name), ...cuts.map((one) => one.name)];
    throw backupNotFound(`There is no cut "${name}". The known ones are ${names.join(", ")}.`);
  }
  const backup = candidates.findLast((one) => completeAtMs(one) <= cut.atMs);
  if (!backup) throw backupNotFound(`No backup is from before the cut "${name}" of ${isoTime(cut.atMs)}.`);
  return { backup, target: { kind: "cut", cut } };
}

/** From then on every node can be restored from it. */
function completeAtMs({ manifest }: FoundBackup): number {
  return Math.max(...manifest.nodes.map(({ stopAtMs }) => stopAtMs));
}

/** A backup of one system in a project of others is a mistake more often than a wish. */
function refuseOtherSystem({ project, foreign }: RestoreSystemOptions, system: string): void {
  const there = systemsOf(project);
  if (foreign || there.length === 0 || there.includes(system)) return;
  throw new HoldfastError(
    "HOLDFAST_RESTORE_REFUSED",
    `The backup is of "${system}", and this project has ${there.map((name) => `"${name}"`).join(", ")}. Restore it in the project of ${system}, or here beside the others with \`--foreign\`.`,
    { data: { system, found: there } },
  );
}
