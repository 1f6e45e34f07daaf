/**
 * Putting restored data in the place of the present: of all nodes, or, after an interruption, of the rest of them.
 *
 * Until here nothing of the present was touched. The journal says that all nodes are restored; from then on the swap
 * is gone on with at the next start or restore, whatever happens. What was there is set aside, never erased.
 */
import { open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { codeOf, exists, syncDirOf } from "../embedded/files.ts";
import { archivesOf, type RestoreRecord, readNodeRecord, writeNodeRecord } from "../embedded/node-record.ts";
import { readBranches, writeBranches } from "./wal-source.ts";

export interface SwapNode {
  readonly name: string;
  readonly serversDir: string;
  /** Tells what this restore sets aside from what others did. */
  readonly number: number;
  readonly restore: Omit<RestoreRecord, "setAside">;
}

interface Journal {
  readonly format: 1;
  readonly nodes: readonly SwapNode[];
}

const journalName = "restore.json";

/** Where a node is restored, beside its servers' data. */
export function restoringDir(serversDir: string): string {
  return join(serversDir, "primary.restoring");
}

/** The first number that no directory of these servers has. */
export async function nextNumber(serversDir: string): Promise<number> {
  const numbers = (await namesIn(serversDir)).map((name) =>
    Number(/\.before-restore-(\d+)$/.exec(name)?.[1] ?? 0),
  );
  return Math.max(0, ...numbers) + 1;
}

/** Directories that earlier restores have set the primary's data aside in, the latest first. */
export async function setAsideBefore(serversDir: string): Promise<string[]> {
  const found = (await namesIn(serversDir)).flatMap((name) => {
    const number = /^primary\.before-restore-(\d+)$/.exec(name)?.[1];
    return number === undefined ? [] : [{ name, number: Number(number) }];
  });
  return found.sort((a, b) => b.number - a.number).map(({ name }) => join(serversDir, name));
}

/** From here on the restore counts. @param dir the folder of the nodes' folders */
export async function swapIn(dir: string, nodes: readonly SwapNode[]): Promise<void> {
  const path = join(dir, journalName);
  const journal: Journal = { format: 1, nodes };
  const file = await open(`${path}.new`, "w", 0o600);
  try {
    await file.writeFile(`${JSON.stringify(journal)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await syncDirOf(path);
  await finishSwap(dir);
}

/** Goes on with a swap that was interrupted. @returns whether there was one */
export async function finishSwap(dir: string): Promise<boolean> {
  const path = join(dir, journalName);
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return false;
  for (const node of (JSON.parse(text) as Journal).nodes) await swapNode(dir, node);
  await rm(path);
  await syncDirOf(path);
  return true;
}

async function swapNode(dir: string, node: SwapNode): Promise<void> {
  const { serversDir, number, restore } = node;
  const restoring = restoringDir(serversDir);
  // Not there: it lies in its place already.
  if (await exists(restoring)) {
    for (const name of await namesIn(serversDir)) {
      if (!/^(primary|replica-\d+)$/.test(name)) continue;
      await rename(join(serversDir, name), join(serversDir, `${name}.before-restore-${number}`));
    }
    await rename(restoring, join(serversDir, "primary"));
    await syncDirOf(restoring);
  }
  const record = await readNodeRecord(join(dir, node.name));
  if (!record) throw new Error(`${join(dir, node.name)} has no record, and had one when its restore began`);
  const restores = record.restores ?? [];
  if (!restores.some(({ timeline, atMs }) => timeline === restore.timeline && atMs === restore.atMs)) {
    const setAside = (await namesIn(serversDir)).filter((name) => name.endsWith(`.before-restore-${number}`));
    const full = { ...restore, setAside: setAside.map((name) => join(serversDir, name)) };
    await writeNodeRecord(join(dir, node.name), {
      ...record,
      made: true,
      promotion: null,
      restores: [...restores, full],
    });
  }
  const branch = { timeline: restore.timeline, atMs: restore.atMs };
  for (const archive of archivesOf(record)) {
    const branches = (await exists(archive)) ? await readBranches(archive) : [branch];
    if (!branches.some(({ timeline }) => timeline === branch.timeline)) {
      await writeBranches(archive, [...branches, branch]);
    }
  }
}

async function namesIn(dir: string): Promise<string[]> {
  return readdir(dir).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  });
}
