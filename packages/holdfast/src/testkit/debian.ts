/**
 * Programs that tests need from the system: found where they are, and installed where they are missing and that
 * can be done without asking anybody, as root on a Debian-like system (a fresh container, CI).
 *
 *   const redis = await findProgram({ names: ["redis-server"], debianPackage: "redis-server" });
 */
import { spawn } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { debianInstallScript } from "./debian-script.ts";

export interface SystemProgram {
  /** Names of the executable on PATH, the preferred one first. */
  readonly names: readonly string[];
  /** The Debian package that has it. */
  readonly debianPackage: string;
  /** Folders to look in after those of PATH. */
  readonly folders?: readonly string[];
  /** Full paths at which it may be, looked at last. */
  readonly paths?: readonly string[];
  /** Environment variable in which a person may name the executable; it wins. */
  readonly variable?: string;
}

/**
 * Path of the executable. A missing one is installed with apt-get when that is possible; no service is started
 * by it, and test processes that want the same at once wait for each other.
 *
 * @throws {Error} when it is missing and cannot be installed; the message says what to install
 */
export async function findProgram(program: SystemProgram): Promise<string> {
  const found = await installedProgram(program);
  if (found !== undefined) return found;
  const { names, debianPackage, variable } = program;
  let said = "";
  if (process.getuid?.() === 0 && (await onPath("apt-get")) && (await onPath("flock"))) {
    said = await installPackage(debianPackage);
    const installed = await installedProgram(program);
    if (installed !== undefined) return installed;
  }
  throw new Error(
    `No ${names[0] ?? program.paths?.[0]} found. Install it (Debian: apt-get install ${debianPackage})` +
      (variable === undefined ? "." : `, or name its executable in ${variable}.`) +
      (said === "" ? "" : ` Installing it failed:\n${said.trimEnd().split("\n").slice(-8).join("\n")}`),
  );
}

/** Path of the executable, or undefined when the system does not have it. */
export async function installedProgram(program: SystemProgram): Promise<string | undefined> {
  const { names, folders = [], paths = [], variable } = program;
  const named = variable === undefined ? undefined : process.env[variable];
  if (named) return named;
  for (const name of names) {
    const path = await onPath(name, folders);
    if (path !== undefined) return path;
  }
  for (const path of paths) if (await isExecutable(path)) return path;
  return undefined;
}

/** @returns what apt-get said when it failed, otherwise nothing */
async function installPackage(debianPackage: string): Promise<string> {
  const lock = "/run/holdfast-apt.lock";
  const child = spawn(
    "flock",
    [lock, "/bin/sh", "-c", debianInstallScript, "holdfast-install", "/usr/sbin/policy-rc.d", debianPackage],
    {
      // A Ctrl-C in the middle must not leave a half-configured package.
      detached: true,
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" },
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  const [said, code] = await Promise.all([
    text(child.stderr),
    new Promise<number | null>((resolve) => {
      child.once("exit", resolve);
      child.once("error", () => resolve(null));
    }),
  ]);
  return code === 0 ? "" : `${said}${code === null ? "It was interrupted." : ""}`;
}

async function onPath(command: string, more: readonly string[] = []): Promise<string | undefined> {
  for (const folder of [...(process.env.PATH ?? "").split(delimiter), ...more]) {
    if (folder !== "" && (await isExecutable(join(folder, command)))) return join(folder, command);
  }
  return undefined;
}

function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
