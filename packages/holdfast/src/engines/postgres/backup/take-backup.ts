/**
 * A backup of a running system: all nodes side by side, then a cut through all of them, then the log up to it, then
 * the manifest. Killed at any step it leaves nothing that could be taken for a backup.
 */
import { join } from "node:path";
import type pg from "pg";
import { HoldfastError } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import type { DatabaseConfig, PostgresEndpoint } from "../config.ts";
import { codeOf, diskFull } from "../embedded/files.ts";
import { identifySelf } from "../embedded/processes.ts";
import { withClient } from "../embedded/readiness.ts";
import { beginFolder } from "./backup-folder.ts";
import { type Cut, makeCut } from "./cut.ts";
import { type BackupManifest, backupBytes, type NodeManifest } from "./manifest.ts";
import { copyNodeData, copyNodeLog, dataBytes, type NodeBackupOptions } from "./node-backup.ts";

export interface BackupNode {
  readonly name: string;
  /** Its primary, as superuser. */
  readonly endpoint: PostgresEndpoint;
  /** The primary's data directory, on this machine. */
  readonly dataDir: string;
  readonly archiveDir: string | undefined;
}

export interface TakeBackupOptions {
  readonly system: string;
  /** Version of Holdfast. */
  readonly version: string;
  readonly nodes: readonly BackupNode[];
  readonly databases: Readonly<Record<string, DatabaseConfig>>;
  /** The folder that the backup's own folder is made in. */
  readonly parent: string;
  /** Hold writes while the cut is made, so that it is exact. Default false. */
  readonly pauseWrites?: boolean;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  /** Write each file to disk before it counts. Default true. */
  readonly sync?: boolean;
  readonly onProgress?: (progress: BackupProgress) => void;
}

export interface BackupProgress {
  readonly step: "copying" | "cut" | "log" | "publishing";
  readonly bytes: number;
  /** What the servers say there is, roughly. */
  readonly bytesTotal: number;
}

export interface TakenBackup {
  readonly dir: string;
  readonly manifest: BackupManifest;
  readonly bytes: number;
}

/**
 * @throws {HoldfastError} HOLDFAST_UNAVAILABLE when a node does not answer, fails over meanwhile, or writes cannot be
 *   held; HOLDFAST_WAL_MISSING, HOLDFAST_DISK_FULL, HOLDFAST_ABORTED. Nothing is left of the backup then
 */
export async function takeBackup(options: TakeBackupOptions): Promise<TakenBackup> {
  const { parent, clock, onProgress } = options;
  const startedAtMs = clock.wallMs();
  const folder = await beginFolder(parent, startedAtMs, await identifySelf());
  // One node that fails ends the copies of the others.
  const failed = new AbortController();
  const given = options.signal ?? new AbortController().signal;
  const signal = AbortSignal.any([given, failed.signal]);
  let step: BackupProgress["step"] = "copying";
  let bytes = 0;
  let bytesTotal = 0;
  const tell = () => onProgress?.({ step, bytes, bytesTotal });
  const enter = (next: BackupProgress["step"]) => {
    step = next;
    tell();
  };
  try {
    let version = "";
    let cut: Cut | undefined;
    const copies = meeting(options.nodes.length, async () => {
      enter("cut");
      const { pauseWrites = false } = options;
      const databases = Object.values(options.databases);
      cut = await makeCut(databases, {
        name: cutNameOf(options.system, folder.name),
        clock,
        pauseWrites,
        signal,
      });
      enter("log");
      return cut;
    });
    const work = options.nodes.map((node) =>
      onNode(node, clock, async (client): Promise<NodeManifest> => {
        const copy: NodeBackupOptions = {
          name: node.name,
          client,
          dataDir: node.dataDir,
          archiveDir: node.archiveDir,
          to: join(folder.path, node.name),
          signal,
          sync: options.sync ?? true,
          onBytes: (more) => {
            bytes += more;
            tell();
          },
        };
        const expected = await dataBytes(client);
        bytesTotal += expected;
        version =
          (await client.query<{ server_version: string }>("show server_version")).rows[0]?.server_version ??
          "";
        const copied = await copyNodeData(copy);
        const point = (await copies.arrive()).nodes.find((one) => one.node === node.name);
        if (!point) throw new RangeError(`${node.name} is no node of a database of ${options.system}`);
        return { ...copied, wal: await copyNodeLog(copy, copied, point) };
      }).catch((error: unknown) => {
        failed.abort(error);
        copies.giveUp(error);
        throw error;
      }),
    );
    const nodes = await allEnded(work);
    enter("publishing");
    const manifest: BackupManifest = {
      format: 1,
      name: folder.name,
      system: options.system,
      version: options.version,
      postgres: { major: Number.parseInt(version, 10), version },
      startedAtMs,
      finishedAtMs: clock.wallMs(),
      cut: cut as Cut,
      databases: Object.fromEntries(
        Object.entries(options.databases).map(([name, { shardMap }]) => [name, shardMap]),
      ),
      nodes,
    };
    return { dir: await folder.publish(manifest), manifest, bytes: backupBytes(manifest) };
  } catch (error) {
    await folder.discard();
    if (given.aborted) {
      throw new HoldfastError("HOLDFAST_ABORTED", "The backup was given up. Nothing of it is left.", {
        outcome: "not-applied",
        cause: error,
      });
    }
    if (["ENOSPC", "EDQUOT"].includes(codeOf(error) ?? "")) throw diskFull(parent, error);
    throw error;
  }
}

function cutNameOf(system: string, name: string): string {
  return `holdfast-${system}-${name}`.slice(-63);
}

async function onNode<T>(
  { name, endpoint }: BackupNode,
  clock: Clock,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  try {
    return await withClient(endpoint, clock, work);
  } catch (error) {
    // What is wrong with a file is not the server's.
    const ofFile =
      (error as NodeJS.ErrnoException).syscall !== undefined &&
      (error as NodeJS.ErrnoException).path !== undefined;
    if (error instanceof HoldfastError || ofFile || ["ENOSPC", "EDQUOT"].includes(codeOf(error) ?? ""))
      throw error;
    throw new HoldfastError(
      "HOLDFAST_UNAVAILABLE",
      `The primary of ${name} was lost to the backup (${(error as Error).message}). Nothing of it is left; take it again when \`holdfast status\` shows every server ready.`,
      { cause: error, data: { node: name } },
    );
  }
}

/** The first failure that is not the echo of another, when all have ended. */
async function allEnded<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(work);
  const failures = results.flatMap((result) =>
    result.status === "rejected" ? [result.reason as unknown] : [],
  );
  if (failures.length > 0) throw failures.find((error) => error instanceof HoldfastError) ?? failures[0];
  return results.map((result) => (result as PromiseFulfilledResult<T>).value);
}

/** Everyone waits for the last to arrive; then `act` runs once, and all get its result. */
function meeting<Out>(count: number, act: () => Promise<Out>) {
  const over = Promise.withResolvers<Out>();
  over.promise.catch(() => {});
  let arrived = 0;
  return {
    arrive(): Promise<Out> {
      if (++arrived === count) act().then(over.resolve, over.reject);
      return over.promise;
    },
    giveUp: (error: unknown) => over.reject(error),
  };
}
