/**
 * Watches the folders that a system's source is in, and tells what changed once the changes have settled: an
 * editor that saves in three steps, or a `git checkout`, is one change.
 *
 * Folders are watched, not files: editors replace files, and a watch on a file goes with it.
 */
import { type FSWatcher, readdirSync, statSync, watch } from "node:fs";
import { basename, join } from "node:path";
import type { Clock, Timer } from "../clock/index.ts";

export interface SourceWatch {
  /** Watches further folders; those that are watched already cost nothing. */
  add(dirs: Iterable<string>): void;
  close(): void;
}

/** Changes within this time belong together, in milliseconds. */
const settleMs = 100;

export interface SourceWatchEvents {
  changed(paths: ReadonlySet<string>): void;
  /** A folder cannot be watched; told once. */
  trouble(why: string): void;
}

export function watchSources(clock: Clock, events: SourceWatchEvents): SourceWatch {
  const watchers = new Map<string, FSWatcher>();
  const modified = new Map<string, number>();
  let pending = new Set<string>();
  let timer: Timer | undefined;

  const flush = () => {
    const paths = pending;
    pending = new Set();
    events.changed(paths);
  };
  let troubled = false;
  const trouble = (error: unknown) => {
    // A folder that was removed in this moment needs no watch.
    if (troubled || (error as NodeJS.ErrnoException).code === "ENOENT") return;
    troubled = true;
    events.trouble((error as Error).message);
  };
  const noticed = (path: string) => {
    const atMs = modifiedAtMs(path);
    // Attributes and access raise events as well; only content counts.
    if (atMs !== undefined && modified.get(path) === atMs) return;
    if (atMs === undefined) modified.delete(path);
    else modified.set(path, atMs);
    pending.add(path);
    timer?.cancel();
    timer = clock.timer(settleMs, flush);
  };

  return {
    add(dirs) {
      for (const dir of dirs) {
        if (watchers.has(dir)) continue;
        try {
          const watcher = watch(dir, { persistent: false }, (_, name) => {
            if (name !== null && isSource(name)) noticed(join(dir, name));
          });
          watcher.on("error", (error) => {
            watcher.close();
            trouble(error);
          });
          watchers.set(dir, watcher);
        } catch (error) {
          trouble(error);
        }
      }
    },
    close() {
      timer?.cancel();
      for (const watcher of watchers.values()) watcher.close();
      watchers.clear();
    },
  };
}

/** `dir` and all folders in it that may hold source. */
export function sourceFolders(dir: string): string[] {
  const found = [dir];
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (!entry.isDirectory() || !isSource(entry.name)) continue;
    found.push(...sourceFolders(join(dir, entry.name)));
  }
  return found;
}

/** Not hidden, not installed, not an editor's backup. */
function isSource(path: string): boolean {
  const name = basename(path);
  return !(
    name.startsWith(".") ||
    name === "node_modules" ||
    name === "dist" ||
    /(~|\.sw[a-z]|\.tmp|^4913)$/.test(name)
  );
}

function modifiedAtMs(path: string): number | undefined {
  try {
    return statSync(path).mtimeMs;
  } catch {
    return undefined;
  }
}
