/**
 * Makes `.holdfast/` a folder that nobody else can write to, before anything is kept in it.
 *
 * What lies there is believed: compiled modules are run as they are, the record says whom to signal. So the
 * folder is made with its mode, whatever the umask is, and before the first process that would make it in
 * passing. One that others could write to is closed, and the compiled modules in it are thrown away.
 */
import { chmodSync, lstatSync, mkdirSync, rmSync } from "node:fs";
import { HoldfastError } from "../call/index.ts";
import type { Project } from "./project.ts";

const writableByOthers = 0o022;

/**
 * Makes `.holdfast/` and its folder of compiled modules where they are missing. May be called again.
 *
 * @throws {HoldfastError} HOLDFAST_START_FAILED when one is a link, no folder or another user's
 */
export function makeStateFolders(project: Project): void {
  // Passable, because Postgres runs as a user of its own when Holdfast runs as root.
  const wasOpen = makeOwnFolder(project.stateDir, 0o755);
  if (makeOwnFolder(project.compileCache, 0o700) || wasOpen) {
    rmSync(project.compileCache, { recursive: true });
    makeOwnFolder(project.compileCache, 0o700);
  }
}

/** @returns whether others could write to it until now */
function makeOwnFolder(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
    // The umask has cut the mode: Postgres must pass where the user's own files are private.
    chmodSync(path, mode);
    return false;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const found = lstatSync(path);
  if (found.isSymbolicLink()) throw untrusted(path, "is a link");
  if (!found.isDirectory()) throw untrusted(path, "is no folder");
  // Where users have no numbers, modes say nothing either.
  const uid = process.getuid?.();
  if (uid === undefined) return false;
  if (found.uid !== uid) throw untrusted(path, `belongs to user ${found.uid}, and this is user ${uid}`);
  if ((found.mode & writableByOthers) === 0) return false;
  chmodSync(path, mode);
  return true;
}

function untrusted(path: string, why: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_START_FAILED",
    `${path} ${why}: what others can write to cannot be trusted. Move it away, or start as its owner; Holdfast makes a new one.`,
    { data: { path } },
  );
}
