/** Whether a backup may be restored here at all: every reason against it, before anything is written. */
import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { isoTime } from "../../../clock/index.ts";
import { codeOf } from "../embedded/files.ts";
import { readNodeRecord } from "../embedded/node-record.ts";
import { findServerProcesses, isRunning } from "../embedded/processes.ts";
import type { BackupManifest } from "./manifest.ts";
import type { RestoreTarget } from "./restore-target.ts";

export interface RestoreFit {
  readonly manifest: BackupManifest;
  readonly target: RestoreTarget;
  /** The folder of the nodes' folders. */
  readonly dir: string;
  /** Major version of the Postgres that would run it. */
  readonly major: number;
  /** Data of another cluster may be set aside. */
  readonly foreign: boolean;
  readonly nowMs: number;
}

/** In words, each with what to do; empty when it fits. */
export async function restoreProblems(fit: RestoreFit): Promise<string[]> {
  const { manifest, target, dir, major, foreign, nowMs } = fit;
  const problems: string[] = [];
  if (manifest.postgres.major !== major) {
    problems.push(
      `the backup is of Postgres ${manifest.postgres.major}, and this is ${major}: restore it with the version of Holdfast that made it (${manifest.version}), then move the data with pg_dump`,
    );
  }
  if (target.kind === "time" && target.atMs > nowMs) {
    problems.push(
      `${isoTime(target.atMs)} is in the future, it is ${isoTime(nowMs)}: give a time that has been`,
    );
  }
  const backedUp = new Set(manifest.nodes.map(({ name }) => name));
  for (const name of await foldersIn(dir)) {
    const record = await readNodeRecord(join(dir, name));
    if (!record) continue;
    const primary = join(record.serversDir, "primary");
    const running =
      (record.owner && (await isRunning(record.owner))) || (await findServerProcesses(primary)).length > 0;
    if (running) problems.push(`the servers of ${name} run: stop the system with \`holdfast down\` first`);
    const found = await systemIdentifierOf(primary);
    if (found === undefined) continue;
    const node = manifest.nodes.find((one) => one.name === name);
    if (!backedUp.has(name)) {
      problems.push(
        `${name} has data, and the backup does not know it, because it was added after: move ${join(dir, name)} away, so that it starts empty`,
      );
    } else if (node && found !== node.systemIdentifier && !foreign) {
      problems.push(
        `the data of ${name} is of another cluster (${found}) than the backup (${node.systemIdentifier}): it was made anew since, or the backup is of another project. With \`--foreign\` the present data is set aside all the same`,
      );
    }
  }
  return problems;
}

/**
 * Postgres' identifier of the cluster in a data directory: the first eight bytes of its control file. Undefined when
 * there is no data.
 */
export async function systemIdentifierOf(dataDir: string): Promise<string | undefined> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(join(dataDir, "global", "pg_control"), "r");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(8), 0, 8, 0);
    // In the machine's own order, which is little-endian on every platform that there are binaries for.
    return bytesRead === 8 ? buffer.readBigUInt64LE().toString() : undefined;
  } finally {
    await file.close();
  }
}

async function foldersIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}
