/**
 * Which directories the server's user can reach, and the machine-wide place for what it could not reach
 * otherwise. A user needs the execute permission on every directory above a file, whatever the file's own.
 */
import { chmod, mkdir, realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { OsUser } from "./os-user.ts";

interface Permissions {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** Whether a user may pass through a directory, by the permission bits alone (no access lists). */
export function mayPass(user: Pick<OsUser, "uid" | "gid">, dir: Permissions): boolean {
  if (dir.uid === user.uid) return (dir.mode & 0o100) !== 0;
  if (dir.gid === user.gid) return (dir.mode & 0o010) !== 0;
  return (dir.mode & 0o001) !== 0;
}

/** Whether `user` can reach what lies in `dir`. The current user's own reach is taken for granted. */
export async function reachableBy(user: OsUser, dir: string): Promise<boolean> {
  if (!user.separate) return true;
  for (let path = await realpath(dir); ; path = dirname(path)) {
    if (!mayPass(user, await stat(path))) return false;
    if (path === dirname(path)) return true;
  }
}

/** The machine-wide directory of Holdfast, used only when running as root. */
export const defaultSharedDir = "/var/lib/holdfast";

/** Makes a directory that everybody may enter and root alone may write to. */
export async function makeSharedDir(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o755 });
  await chmod(dir, 0o755); // whatever the umask was
}
