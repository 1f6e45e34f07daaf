/**
 * Folders of backups. One that is being made has another name, with its maker's process in it, and is renamed when
 * it is whole and on disk; what a killed maker left is removed by the next one.
 */
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { HoldfastError } from "../../../call/index.ts";
import { isoTime } from "../../../clock/index.ts";
import { codeOf, exists, sayingDiskFull, syncDirOf } from "../embedded/files.ts";
import { isRunning, type ProcessIdentity } from "../embedded/processes.ts";
import { type BackupManifest, manifestName, readManifest } from "./manifest.ts";

const making = ".making";
const removing = ".removing";
const makerFile = "maker.json";

/** `2026-11-25T16-04-05Z`: sorts by time, and is a file name everywhere. */
export function backupName(wallMs: number): string {
  return `${isoTime(wallMs).slice(0, 19).replaceAll(":", "-")}Z`;
}

export interface MakingFolder {
  readonly name: string;
  /** Where the parts go until it is published. */
  readonly path: string;
  /** Writes the manifest and gives the folder its name. @returns where it is then */
  publish(manifest: BackupManifest): Promise<string>;
  /** Removes what has been made. */
  discard(): Promise<void>;
}

/** Begins a backup in `parent`, under a name that is not taken there. */
export async function beginFolder(
  parent: string,
  wallMs: number,
  maker: ProcessIdentity,
): Promise<MakingFolder> {
  return sayingDiskFull(parent, async () => {
    await mkdir(parent, { recursive: true, mode: 0o700 });
    await clearLeft(parent);
    const wanted = backupName(wallMs);
    for (let count = 1; ; count++) {
      const name = count === 1 ? wanted : `${wanted}-${count}`;
      const path = join(parent, `${name}${making}`);
      if (await exists(join(parent, name))) continue;
      try {
        await mkdir(path, { mode: 0o700 });
      } catch (error) {
        if (codeOf(error) === "EEXIST") continue;
        throw error;
      }
      await writeFile(join(path, makerFile), JSON.stringify(maker));
      return makingFolder(name, path, join(parent, name));
    }
  });
}

function makingFolder(name: string, path: string, final: string): MakingFolder {
  return {
    name,
    path,
    publish: (manifest) =>
      sayingDiskFull(path, async () => {
        const file = await open(join(path, manifestName), "wx", 0o600);
        try {
          await file.writeFile(`${JSON.stringify(manifest)}\n`);
          await file.sync();
        } finally {
          await file.close();
        }
        await rm(join(path, makerFile));
        await syncTree(path, manifest);
        await rename(path, final);
        await syncDirOf(final);
        return final;
      }),
    discard: () => rm(path, { recursive: true, force: true }),
  };
}

/** The directories' entries; the files were written to disk one by one. */
async function syncTree(path: string, { nodes }: BackupManifest): Promise<void> {
  for (const { name, dirs } of nodes) {
    for (const dir of dirs) await syncDirOf(join(path, name, "data", dir, "entry"));
    for (const dir of ["data", "wal"]) await syncDirOf(join(path, name, dir, "entry"));
    await syncDirOf(join(path, name, "entry"));
  }
  await syncDirOf(join(path, "entry"));
}

/** Removes what killed makers and removers left. */
async function clearLeft(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const path = join(parent, name);
    if (name.endsWith(removing)) await rm(path, { recursive: true, force: true });
    if (!name.endsWith(making)) continue;
    const maker = await readFile(join(path, makerFile), "utf8")
      .then((text) => JSON.parse(text) as ProcessIdentity)
      .catch(() => undefined);
    if (maker && (await isRunning(maker))) continue;
    await rm(path, { recursive: true, force: true });
  }
}

export interface FoundBackup {
  readonly dir: string;
  readonly manifest: BackupManifest;
}

/** The whole backups in `parent`, oldest first, and those whose manifest cannot be read. */
export async function backupsIn(
  parent: string,
): Promise<{ readonly whole: FoundBackup[]; readonly damaged: string[] }> {
  const entries = await readdir(parent, { withFileTypes: true }).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  });
  const whole: FoundBackup[] = [];
  const damaged: string[] = [];
  for (const entry of entries) {
    const dir = resolve(parent, entry.name);
    if (!entry.isDirectory() || entry.name.endsWith(making) || entry.name.endsWith(removing)) continue;
    try {
      whole.push({ dir, manifest: await readManifest(dir) });
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      if (error.code === "HOLDFAST_BACKUP_DAMAGED") damaged.push(dir);
    }
  }
  whole.sort((a, b) => a.manifest.finishedAtMs - b.manifest.finishedAtMs);
  return { whole, damaged };
}

/** Removes a backup: from its first moment it is none any more, also when this is cut short. */
export async function removeBackup(dir: string): Promise<void> {
  const away = join(dirname(dir), `${basename(dir)}${removing}`);
  await rename(dir, away);
  await syncDirOf(away);
  await rm(away, { recursive: true, force: true });
}
