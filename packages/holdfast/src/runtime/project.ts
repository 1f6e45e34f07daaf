/**
 * Where a project keeps what belongs to this machine: `.holdfast/` in the project's folder.
 *
 * ```text
 * .holdfast/
 *   supervisor.json          who runs here: pid, start time, control socket, children
 *   session-secret           what the gateway seals session tokens with, random
 *   compile-cache/           modules as Node has compiled them
 *   profile.json             what this machine was measured to do
 *   backups/<time>/          what `holdfast backup` has made, unless it was told to put it elsewhere
 *   <system>/                one folder a system, so that two systems of one project never share data
 *     postgres/<node>/…      the servers' record (ports, random password) and data
 *     logs/<instance>.log
 * ```
 */
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { HoldfastError } from "../call/index.ts";

export interface Project {
  readonly root: string;
  /** `.holdfast` in `root`. */
  readonly stateDir: string;
  /** Where Node keeps the modules that it has compiled. */
  readonly compileCache: string;
  /** Where backups go when nobody says where. */
  readonly backups: string;
  /** What `holdfast load --profile` has measured, if it has. */
  readonly profile: string;
}

/** The nearest folder upwards from `from` that has a package.json; `from` itself when none has. */
export function findProject(from: string): Project {
  const start = resolve(from);
  let root = start;
  for (let dir = start; ; dir = dirname(dir)) {
    if (existsSync(join(dir, "package.json"))) {
      root = dir;
      break;
    }
    if (dir === dirname(dir)) break;
  }
  const stateDir = join(root, ".holdfast");
  return {
    root,
    stateDir,
    compileCache: join(stateDir, "compile-cache"),
    backups: join(stateDir, "backups"),
    profile: join(stateDir, "profile.json"),
  };
}

/**
 * The file whose default export is the system: `target` itself, or `system.ts` (or `.js`, `.mjs`) in it.
 *
 * @throws {HoldfastError} HOLDFAST_USAGE when there is none
 */
export function findSystemFile(target: string, cwd: string): string {
  const path = resolve(cwd, target);
  if (!existsSync(path)) throw noSystem(`${target} does not exist`);
  if (statSync(path).isFile()) return path;
  for (const name of ["system.ts", "system.js", "system.mjs"]) {
    const file = join(path, name);
    if (existsSync(file)) return file;
  }
  throw noSystem(`${basename(path)}/ has no system.ts`);
}

/** Whether the system describes its traffic: a `load.ts` (or `.js`, `.mjs`) beside it. */
export function hasLoadFile(systemFile: string): boolean {
  const names = ["load.ts", "load.js", "load.mjs"];
  return names.some((name) => existsSync(join(dirname(systemFile), name)));
}

/** @throws {HoldfastError} HOLDFAST_USAGE when there is no load.ts */
export function requireLoadFile(systemFile: string): void {
  if (hasLoadFile(systemFile)) return;
  throw new HoldfastError(
    "HOLDFAST_USAGE",
    `There is no traffic to send: ${dirname(systemFile)} has no load.ts. Write one, or leave --traffic out.`,
  );
}

function noSystem(why: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_USAGE",
    `No system to run: ${why}. Name the folder or the file whose default export is \`system(…)\`, such as \`holdfast up systems/shortener\`.`,
  );
}

export interface SystemPaths {
  readonly logs: string;
  readonly postgres: string;
}

/** Where one system of the project keeps its data. */
export function systemPaths(project: Project, system: string): SystemPaths {
  const dir = join(project.stateDir, system);
  return { logs: join(dir, "logs"), postgres: join(dir, "postgres") };
}

/** Names of the systems of the project that have run with a database. */
export function systemsOf(project: Project): string[] {
  if (!existsSync(project.stateDir)) return [];
  const names = readdirSync(project.stateDir);
  return names.filter((name) => existsSync(systemPaths(project, name).postgres)).sort();
}

/** Makes the folders of one system when they are not there. */
export function makeSystemFolders({ logs, postgres }: SystemPaths): void {
  // Passable, because Postgres runs as a user of its own when Holdfast runs as root; what is secret in it is
  // closed on its own.
  mkdirSync(postgres, { recursive: true, mode: 0o755 });
  mkdirSync(logs, { recursive: true, mode: 0o700 });
}
