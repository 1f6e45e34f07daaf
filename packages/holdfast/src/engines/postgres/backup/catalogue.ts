/**
 * What a system remembers of its backups and cuts, beside its data: where backups were put, so that `--list` and
 * `restore` find them, and an archive is kept for as long as one of them may need it.
 */
import { open, readFile, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { codeOf, exists, syncDirOf } from "../embedded/files.ts";
import { backupsIn, type FoundBackup } from "./backup-folder.ts";
import type { Cut } from "./cut.ts";
import { readManifest } from "./manifest.ts";

export interface Catalogue {
  readonly format: 1;
  /** Folders of backups. */
  readonly backups: readonly string[];
  /** Cuts that were made apart from backups. */
  readonly cuts: readonly Cut[];
}

const fileName = "backups.json";
const empty: Catalogue = { format: 1, backups: [], cuts: [] };

/** @param dir the folder of the nodes' folders */
export async function readCatalogue(dir: string): Promise<Catalogue> {
  try {
    return JSON.parse(await readFile(join(dir, fileName), "utf8")) as Catalogue;
  } catch (error) {
    // A list that is damaged is no reason to refuse a restore: backups are also found in their folder.
    if (codeOf(error) === "ENOENT" || error instanceof SyntaxError) return empty;
    throw error;
  }
}

export async function changeCatalogue(dir: string, change: (now: Catalogue) => Catalogue): Promise<void> {
  const path = join(dir, fileName);
  const next = change(await readCatalogue(dir));
  const file = await open(`${path}.new`, "w", 0o600);
  try {
    await file.writeFile(`${JSON.stringify(next, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await syncDirOf(path);
}

export interface KnownBackups {
  /** Oldest first. */
  readonly whole: readonly FoundBackup[];
  /** Folders whose manifest cannot be read. */
  readonly damaged: readonly string[];
  /** Folders on a disk that is not there now. */
  readonly away: readonly string[];
}

/** Every backup of `system` that the catalogue or one of `parents` has. Those removed by hand are forgotten. */
export async function knownBackups(
  dir: string,
  system: string | undefined,
  parents: readonly string[],
): Promise<KnownBackups> {
  const found = new Map<string, FoundBackup>();
  const damaged = new Set<string>();
  const away: string[] = [];
  for (const parent of parents) {
    const there = await backupsIn(parent);
    for (const backup of there.whole) found.set(backup.dir, backup);
    for (const path of there.damaged) damaged.add(path);
  }
  for (const path of (await readCatalogue(dir)).backups) {
    if (found.has(path) || damaged.has(path)) continue;
    if (!(await exists(dirname(path)))) {
      away.push(path);
    } else if (await exists(path)) {
      await readManifest(path).then(
        (manifest) => found.set(path, { dir: path, manifest }),
        () => damaged.add(path),
      );
    }
  }
  const whole = [...found.values()].filter(
    ({ manifest }) => system === undefined || manifest.system === system,
  );
  whole.sort((a, b) => a.manifest.finishedAtMs - b.manifest.finishedAtMs);
  return { whole, damaged: [...damaged].sort(), away };
}
