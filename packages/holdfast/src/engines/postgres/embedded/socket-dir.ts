/**
 * The private directory of a server's Unix socket. A socket's path has at most 107 bytes, so it cannot lie in
 * a project; it lies in the system's directory for temporary files under a short name that follows from the
 * data directory.
 */
import { createHash } from "node:crypto";
import { lstat, mkdir, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HoldfastError } from "../../../call/index.ts";
import { codeOf } from "./files.ts";
import { giveTo, type OsUser } from "./os-user.ts";

const socketPathBytesMax = 107;

/**
 * The directory for temporary files that the server's user can reach: root's own TMPDIR may be closed to it.
 */
export function serverTempDir(): string {
  return process.getuid?.() === 0 ? "/tmp" : tmpdir();
}

export function socketDirOf(dataDir: string): string {
  const hash = createHash("sha256").update(dataDir).digest("hex").slice(0, 12);
  const name = `hf-${hash}`;
  const wanted = join(serverTempDir(), name);
  // `/.s.PGSQL.65535.lock` comes after it.
  return Buffer.byteLength(wanted) + 20 <= socketPathBytesMax ? wanted : join("/tmp", name);
}

/**
 * Makes the directory, empty: call it only when no process of the server runs.
 *
 * @throws {HoldfastError} HOLDFAST_POSTGRES_START when somebody else owns the name
 */
export async function prepareSocketDir(dir: string, user: OsUser): Promise<void> {
  try {
    await mkdir(dir, { mode: 0o700 });
    await giveTo(user, dir);
    return;
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
  const found = await lstat(dir);
  // Anybody may make names in a temporary directory: one that is not ours is never used.
  const owners = user.separate ? [user.uid, 0] : [user.uid];
  if (!found.isDirectory() || (user.uid !== -1 && !owners.includes(found.uid))) {
    throw new HoldfastError(
      "HOLDFAST_POSTGRES_START",
      `${dir} belongs to somebody else. Remove it, then start again.`,
      {
        data: { dir },
      },
    );
  }
  await giveTo(user, dir);
  // A killed server leaves its socket and its lock file, and the lock's process id may be in use again.
  for (const name of await readdir(dir)) {
    if (name.startsWith(".s.PGSQL.")) await rm(join(dir, name), { force: true });
  }
}
