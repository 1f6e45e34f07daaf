/** What a node's log can be replayed from: its archive, and what servers have in their own log directories. */
import { open, readdir, readFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { codeOf, syncDirOf } from "../embedded/files.ts";
import { parseHistory } from "../timeline.ts";
import { timelineOfHistory } from "./wal-name.ts";
import type { RestoreBranch } from "./wal-range.ts";

export interface WalSource {
  readonly dir: string;
  readonly names: ReadonlySet<string>;
  /** By timeline, where each of its ancestors was left. */
  readonly histories: ReadonlyMap<number, ReadonlyMap<number, bigint>>;
}

/** @returns undefined when there is no such directory */
export async function readWalSource(dir: string): Promise<WalSource | undefined> {
  const names = await readdir(dir).catch((error: unknown) => {
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  });
  if (!names) return undefined;
  const histories = new Map<number, ReadonlyMap<number, bigint>>();
  for (const name of names) {
    const timeline = timelineOfHistory(name);
    if (timeline !== undefined)
      histories.set(timeline, parseHistory(await readFile(join(dir, name), "utf8")));
  }
  return { dir, names: new Set(names), histories };
}

/** When the newest of these files was written, in milliseconds since the epoch. */
export async function newestAtMs(
  { dir, names }: WalSource,
  segments: Iterable<string>,
): Promise<number | undefined> {
  let newest: number | undefined;
  for (const name of segments) {
    if (!names.has(name)) continue;
    const at = (await stat(join(dir, name)).catch(() => undefined))?.mtimeMs;
    if (at !== undefined && !(newest !== undefined && newest >= at)) newest = at;
  }
  return newest;
}

const branchesName = "restores.json";

/** The timelines of an archive that began with a restore. Kept beside the log: it says how to read it. */
export async function readBranches(dir: string): Promise<RestoreBranch[]> {
  try {
    return JSON.parse(await readFile(join(dir, branchesName), "utf8")) as RestoreBranch[];
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) return [];
    throw error;
  }
}

export async function writeBranches(dir: string, branches: readonly RestoreBranch[]): Promise<void> {
  const path = join(dir, branchesName);
  const file = await open(`${path}.new`, "w", 0o600);
  try {
    await file.writeFile(`${JSON.stringify(branches)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await syncDirOf(path);
}
