/**
 * Restoring all nodes of a stopped system from a backup.
 *
 * Everything is prepared, replayed and promoted beside the present data; only when every node is ready do they take
 * its place, and it is set aside. Killed before that, nothing has changed and the restore begins anew; killed in the
 * swap, the next start or restore goes on with it.
 */
import { join } from "node:path";
import { HoldfastError } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import { type PostgresBinaries, resolveBinaries } from "../embedded/binaries.ts";
import { freePort } from "../embedded/free-port.ts";
import { makeNodeRecord } from "../embedded/node.ts";
import { archivesOf, type NodeRecord, readNodeRecord } from "../embedded/node-record.ts";
import { serverUser } from "../embedded/os-user.ts";
import { defaultSharedDir } from "../embedded/reachable.ts";
import type { NodeManifest } from "./manifest.ts";
import { type BackupManifest, backupBytes, readManifest } from "./manifest.ts";
import { prepareNode, removePrepared } from "./prepare-node.ts";
import { NodeRecovery, type Promoted, type Reached } from "./recover-node.ts";
import { type RestoreFit, restoreProblems } from "./restore-fit.ts";
import { type NodePlan, planNode } from "./restore-plan.ts";
import {
  finishSwap,
  nextNumber,
  restoringDir,
  type SwapNode,
  setAsideBefore,
  swapIn,
} from "./restore-swap.ts";
import { type RestoreTarget, targetText } from "./restore-target.ts";
import { readBranches } from "./wal-source.ts";

export interface RestoreNodesOptions {
  /** The backup's folder. */
  readonly backupDir: string;
  readonly target: RestoreTarget;
  /** The folder of the nodes' folders. None of their servers may run. */
  readonly dir: string;
  /** Holds the archives, one folder a node, when the nodes themselves do not know theirs. */
  readonly archives?: string;
  /** Restore over data of another cluster as well. Default false. */
  readonly foreign?: boolean;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  /** Write the copies to disk before they count. Default true. */
  readonly sync?: boolean;
  readonly binaries?: PostgresBinaries;
  readonly osUser?: string;
  readonly sharedDir?: string;
  readonly onProgress?: (progress: RestoreProgress) => void;
}

export interface RestoreProgress {
  readonly step: "copying" | "replaying" | "promoting" | "swapping";
  readonly bytes: number;
  readonly bytesTotal: number;
  /** How the replay of a node gets on. */
  readonly text: string | undefined;
}

export interface RestoredNode extends Reached, Omit<Promoted, "timeline" | "fork"> {
  readonly node: string;
  readonly timeline: number;
  readonly fork: string;
  readonly setAside: readonly string[];
}

export interface Restored {
  readonly manifest: BackupManifest;
  readonly target: RestoreTarget;
  readonly nodes: readonly RestoredNode[];
  readonly bytes: number;
}

interface NodeWork {
  readonly node: NodeManifest;
  readonly plan: NodePlan;
  readonly record: NodeRecord;
  readonly recovery: NodeRecovery;
  readonly dataDir: string;
}

/**
 * @throws {HoldfastError} HOLDFAST_RESTORE_REFUSED and HOLDFAST_WAL_MISSING with every reason, HOLDFAST_BACKUP_DAMAGED,
 *   HOLDFAST_BACKUP_NOT_FOUND, HOLDFAST_POSTGRES_VERSION, _IN_USE, _START, HOLDFAST_DISK_FULL, HOLDFAST_ABORTED; the
 *   present data is as it was then
 */
export async function restoreNodes(options: RestoreNodesOptions): Promise<Restored> {
  const { backupDir, target, dir, clock, onProgress } = options;
  await finishSwap(dir);
  const manifest = await readManifest(backupDir);
  const user = await serverUser(options.osUser);
  const sharedDir = options.sharedDir ?? defaultSharedDir;
  const binaries = options.binaries ?? (await resolveBinaries({ user, sharedDir }));
  const fit: RestoreFit = {
    manifest,
    target,
    dir,
    major: binaries.major,
    foreign: options.foreign ?? false,
    nowMs: clock.wallMs(),
  };
  const problems = await restoreProblems(fit);
  const plans =
    problems.length > 0 ? [] : await Promise.all(manifest.nodes.map((node) => planOf(options, node)));
  refuse(backupDir, problems, plans);

  const failed = new AbortController();
  const given = options.signal ?? new AbortController().signal;
  const signal = AbortSignal.any([given, failed.signal]);
  const bytesTotal = backupBytes(manifest);
  let bytes = 0;
  let step: RestoreProgress["step"] = "copying";
  const tell = (text?: string) => onProgress?.({ step, bytes, bytesTotal, text });
  const enter = (next: RestoreProgress["step"]) => {
    step = next;
    tell();
  };
  const work: NodeWork[] = [];
  const all = async <T>(act: (one: NodeWork) => Promise<T>): Promise<T[]> => {
    const results = await Promise.allSettled(
      work.map((one) =>
        act(one).catch((error: unknown) => {
          failed.abort(error);
          throw error;
        }),
      ),
    );
    const reasons = results.flatMap((result) =>
      result.status === "rejected" ? [result.reason as unknown] : [],
    );
    if (reasons.length > 0) throw merged(reasons);
    return results.map((result) => (result as PromiseFulfilledResult<T>).value);
  };
  try {
    for (const [index, node] of manifest.nodes.entries()) {
      const record = await makeNodeRecord(join(dir, node.name), user, sharedDir, clock);
      const dataDir = restoringDir(record.serversDir);
      const plan = plans[index] as NodePlan;
      const port = await freePort(clock.random);
      const logFile = join(record.serversDir, "restore.log");
      const shared = { node, dataDir, user, binaries, clock, signal };
      const recovery = new NodeRecovery({ ...shared, plan, target, logFile, port, onProgress: tell });
      work.push({ node, plan, record, dataDir, recovery });
    }
    enter("copying");
    await all(({ node, plan, dataDir }) =>
      prepareNode({
        node,
        backupDir,
        historyDirs: plan.historyDirs,
        dataDir,
        user,
        binaries,
        clock,
        signal,
        sync: options.sync ?? true,
        onBytes: (more) => {
          bytes += more;
          tell();
        },
      }),
    );
    enter("replaying");
    const reached = await all(({ recovery }) => recovery.replay());
    enter("promoting");
    const promoted = await all(async ({ recovery, record }) => {
      const done = await recovery.promote(record.password);
      await recovery.stop();
      return done;
    });
    signal.throwIfAborted();
    enter("swapping");
    const atMs = clock.wallMs();
    const restore = { atMs, backup: manifest.name, target: targetText(target) };
    const swaps = await Promise.all(
      work.map(async ({ node, record }, index): Promise<SwapNode> => {
        const { timeline, fork } = promoted[index] as Promoted;
        const { serversDir } = record;
        const number = await nextNumber(serversDir);
        return { name: node.name, serversDir, number, restore: { ...restore, timeline, fork } };
      }),
    );
    await swapIn(dir, swaps);
    const nodes = await Promise.all(
      work.map(async ({ node }, index): Promise<RestoredNode> => {
        const setAside = (await readNodeRecord(join(dir, node.name)))?.restores?.at(-1)?.setAside ?? [];
        return {
          node: node.name,
          ...(reached[index] as Reached),
          ...(promoted[index] as Promoted),
          setAside,
        };
      }),
    );
    return { manifest, target, nodes, bytes };
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled(
      work.map(async ({ recovery, dataDir }) => {
        await recovery.stop().catch(() => {});
        // After the journal is written, what was prepared is what counts.
        if (step !== "swapping") await removePrepared(dataDir, clock);
      }),
    );
    if (!given.aborted) throw error;
    throw new HoldfastError("HOLDFAST_ABORTED", "The restore was given up. The present data is as it was.", {
      outcome: "not-applied",
      cause: error,
    });
  }
}

async function planOf({ backupDir, target, dir, archives }: RestoreNodesOptions, node: NodeManifest) {
  const record = await readNodeRecord(join(dir, node.name));
  const brought = archives === undefined ? [] : [join(archives, node.name)];
  const archiveDirs = [...new Set([...(record ? archivesOf(record) : []), ...brought])];
  const branches = await Promise.all(archiveDirs.map(readBranches));
  const own = record
    ? [join(record.serversDir, "primary"), ...(await setAsideBefore(record.serversDir))]
    : [];
  return planNode({
    node,
    backupDir,
    target,
    archiveDirs,
    walDirs: own.map((data) => join(data, "pg_wal")),
    restores: [...(record?.restores ?? []), ...branches.flat()],
  });
}

/** All reasons at once, under the code of the first. */
function refuse(
  dir: string,
  problems: readonly string[],
  plans: readonly Awaited<ReturnType<typeof planOf>>[],
): void {
  const unplanned = plans.filter((plan) => "code" in plan);
  const reasons = [...problems, ...unplanned.map(({ message }) => message)];
  if (reasons.length === 0) return;
  const refused = problems.length > 0 || unplanned.some(({ code }) => code === "HOLDFAST_RESTORE_REFUSED");
  throw new HoldfastError(
    refused ? "HOLDFAST_RESTORE_REFUSED" : "HOLDFAST_WAL_MISSING",
    `Nothing was restored, and nothing was touched:${reasons.map((reason) => `\n  ${reason}.`).join("")}`,
    { data: { backup: dir, reasons } },
  );
}

/** The failures that are not the echo of another, as one. */
function merged(errors: readonly unknown[]): unknown {
  const own = [...new Set(errors)].filter((error) => error instanceof HoldfastError);
  const [first, ...rest] = own;
  if (!first || rest.length === 0) return first ?? errors[0];
  if (rest.every(({ code }) => code === first.code)) {
    const files = own.flatMap(({ data }) => (Array.isArray(data.files) ? (data.files as string[]) : []));
    return new HoldfastError(first.code, own.map(({ message }) => message).join("\n"), {
      data: { ...first.data, files },
    });
  }
  return first;
}
