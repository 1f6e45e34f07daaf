/** The file system: what code an error carries, a full disk in words, and renames that last. */
import { open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { HoldfastError } from "../../../call/index.ts";

/** The `code` of a system error (`ENOENT`), or undefined. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}

export function diskFull(path: string, cause: unknown): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_DISK_FULL",
    `No space is left on the disk of ${path}. Free some, then start again: nothing that was committed is lost.`,
    { data: { path }, cause },
  );
}

/** Runs `work` and turns "no space left" into HOLDFAST_DISK_FULL. */
export async function sayingDiskFull<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOSPC" || code === "EDQUOT") throw diskFull(path, error);
    throw error;
  }
}

/** Makes a rename of `path` durable: a directory's entries are written with the directory. */
export async function syncDirOf(path: string): Promise<void> {
  if (process.platform === "win32") return; // directories cannot be opened there
  const dir = await open(dirname(path), "r");
  try {
    await dir.sync();
  } finally {
    await dir.close();
  }
}

export function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => {
      if (["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) return false;
      throw error;
    },
  );
}
