/**
 * A server's log: one file, bounded. The server holds it open for appending, so it is shortened in place, and
 * what it held is kept once beside it (`primary.log.1`).
 */
import { copyFile, type FileHandle, open, readFile, stat, truncate } from "node:fs/promises";

export const backlogBytesMax = 8 << 20;

export function openLog(path: string): Promise<FileHandle> {
  return open(path, "a", 0o600);
}

/** Everything that was logged after the first `start` bytes. */
export async function logSince(path: string, start: number): Promise<string> {
  const bytes = await readFile(path).catch(() => Buffer.alloc(0));
  return bytes.subarray(start).toString("utf8");
}

/** Sets a log that grew beyond the bound aside. Lines written at the same moment may be lost. */
export async function boundLog(path: string, bytesMax = backlogBytesMax): Promise<void> {
  const size = (await stat(path).catch(() => undefined))?.size ?? 0;
  if (size <= bytesMax) return;
  await copyFile(path, `${path}.1`);
  await truncate(path);
}
