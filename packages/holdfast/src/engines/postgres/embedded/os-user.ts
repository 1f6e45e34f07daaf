/**
 * The operating-system user that Postgres runs as.
 *
 * Postgres refuses to run as root. When Holdfast does run as root (containers, CI), the servers run as an
 * ordinary user of their own, made on first need; otherwise they run as the current user.
 */
import { execFile } from "node:child_process";
import { chown } from "node:fs/promises";
import { promisify } from "node:util";
import { HoldfastError } from "../../../call/index.ts";

const run = promisify(execFile);

export interface OsUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** True when this is another user than the current one: files made for it have to be given to it. */
  readonly separate: boolean;
}

export const osUserName = "holdfast-pg";

/** How to make a system user: shadow-utils first, then busybox. */
const makers: readonly (readonly string[])[] = [
  [
    "useradd",
    "--system",
    "--no-create-home",
    "--home-dir",
    "/nonexistent",
    "--shell",
    "/bin/false",
    "--user-group",
  ],
  ["adduser", "-S", "-D", "-H", "-s", "/bin/false"],
];

/**
 * The user to run Postgres as: the current one, or, when that is root, `name`, made when it does not exist.
 *
 * @param name of the ordinary user to use when running as root. Default `holdfast-pg`.
 * @throws {HoldfastError} HOLDFAST_POSTGRES_OS_USER when there is none and none could be made
 */
export async function serverUser(name: string = osUserName): Promise<OsUser> {
  const uid = process.getuid?.();
  const gid = process.getgid?.();
  // Windows knows no uid: Postgres there drops an administrator's rights by itself.
  if (uid === undefined || gid === undefined) return { name: "", uid: -1, gid: -1, separate: false };
  if (uid !== 0) return { name: "", uid, gid, separate: false };

  const known = await lookUp(name);
  if (known) return known;
  const problems: string[] = [];
  for (const [command = "", ...args] of makers) {
    try {
      await run(command, [...args, name]);
    } catch (error) {
      // Also when another process made the user a moment ago: then the look-up below finds it.
      problems.push(`${command}: ${firstLine(error)}`);
    }
    const made = await lookUp(name);
    if (made) return made;
  }
  throw new HoldfastError(
    "HOLDFAST_POSTGRES_OS_USER",
    `Postgres does not run as root, and the user "${name}" could not be made (${problems.join("; ")}). ` +
      `Make it yourself (useradd --system ${name}), or start Holdfast as an ordinary user.`,
    { data: { user: name } },
  );
}

/** The spawn options that run a child as `user`. */
export function asUser(user: OsUser): { uid?: number; gid?: number } {
  return user.separate ? { uid: user.uid, gid: user.gid } : {};
}

/** Gives a file or directory that we made to `user`. */
export async function giveTo(user: OsUser, path: string): Promise<void> {
  if (user.separate) await chown(path, user.uid, user.gid);
}

async function lookUp(name: string): Promise<OsUser | undefined> {
  try {
    const [uid, gid] = await Promise.all([run("id", ["-u", name]), run("id", ["-g", name])]);
    return { name, uid: Number(uid.stdout), gid: Number(gid.stdout), separate: true };
  } catch {
    return undefined; // `id` fails for a user that does not exist
  }
}

function firstLine(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message?: string };
  return (stderr || message || String(error)).trim().split("\n")[0] ?? "";
}
