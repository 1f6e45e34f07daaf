/**
 * A small disk of its own for a data directory, so that it can be full without anybody else's being full.
 *
 *   await using disk = await openSmallDisk({ dir, bytes: 64 << 20, guard });
 *
 * As root it is a tmpfs mounted on the folder. Elsewhere somebody else has to provide a small filesystem
 * (`diskAt`): a full disk that others write to is not a fault in one member, and is refused.
 */
import { spawn } from "node:child_process";
import { mkdir, rm, stat, statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { HoldfastError } from "../../call/index.ts";
import { shellQuote } from "../undo/shell-quote.ts";
import type { UndoGuard } from "../undo/undo-guard.ts";

export interface DiskControl {
  /** The data directory, the root of a filesystem. */
  readonly dir: string;
}

export interface SmallDisk extends DiskControl, AsyncDisposable {
  /** Removes the disk with all that is on it; processes that still use it keep what they have open. */
  close(): Promise<void>;
}

export interface SmallDiskOptions {
  /** Made when it is not there. */
  readonly dir: string;
  readonly bytes: number;
  /** Takes the disk away when this process is killed. */
  readonly guard: UndoGuard;
  /** Owner of the folder, for a server that runs as another user. Default: this process's. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/** A filesystem larger than this is taken for one that others use. */
export const diskBytesMax = 4 * 2 ** 30;

/** @throws {HoldfastError} HOLDFAST_FAULT_REFUSED when this machine does not let us mount */
export async function openSmallDisk({ dir, bytes, guard, owner }: SmallDiskOptions): Promise<SmallDisk> {
  const path = resolve(dir);
  await mkdir(path, { recursive: true });
  const unmount = `umount -l ${shellQuote(path)}`;
  const entry = await guard.promise(`${unmount}; rmdir ${shellQuote(path)}`);
  const who = owner ? `,uid=${owner.uid},gid=${owner.gid}` : "";
  const refused = await run("mount", [
    "-t",
    "tmpfs",
    "-o",
    `size=${bytes},mode=700${who}`,
    "holdfast-disk",
    path,
  ]);
  if (refused !== undefined) {
    await entry.kept();
    throw new HoldfastError(
      "HOLDFAST_FAULT_REFUSED",
      `No disk of its own could be mounted at ${path}: ${refused}. Run as root, or put the data directory on a small filesystem and use diskAt.`,
    );
  }
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= (async () => {
      await run("umount", ["-l", path]);
      await rm(path, { recursive: true, force: true });
      await entry.kept();
    })();
    return closing;
  };
  return { dir: path, close, [Symbol.asyncDispose]: close };
}

/** A folder that is the root of a small filesystem that nobody else writes to. */
export function diskAt(dir: string): DiskControl {
  return { dir: resolve(dir) };
}

/** Why this disk must not be filled; undefined when it may. */
export async function diskRefusal(dir: string): Promise<string | undefined> {
  const [own, parent] = await Promise.all([
    stat(dir).catch(() => undefined),
    stat(dirname(dir)).catch(() => undefined),
  ]);
  if (!own?.isDirectory()) return `${dir} is no folder`;
  if (own.dev === parent?.dev) {
    return `${dir} is no filesystem of its own: filling it would fill everybody's disk. Use openSmallDisk, or mount a small one there`;
  }
  const { blocks, bsize } = await statfs(dir);
  if (blocks * bsize > diskBytesMax) {
    return `the filesystem at ${dir} has ${blocks * bsize} bytes; at most ${diskBytesMax} are filled`;
  }
  return undefined;
}

/** @returns what it said when it failed */
export async function run(command: string, args: readonly string[]): Promise<string | undefined> {
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise<number | Error | null>((settle) => {
    child.once("exit", settle);
    child.once("error", settle);
  });
  const [said, code] = await Promise.all([text(child.stderr), ended]);
  if (code === 0) return undefined;
  return code instanceof Error ? code.message : said.trim() || `${command} ended with code ${code}`;
}
