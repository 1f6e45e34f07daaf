/**
 * The library links of the binary package.
 *
 * npm packages cannot hold symbolic links, so the package carries a list (`pg-symlinks.json`) and an install
 * script that makes them. With `npm install --ignore-scripts`, and with package managers that skip scripts by
 * default, that script never ran and `postgres` finds no `libpq.so.5`. We make what is missing, only that, and
 * every step is one that several processes may take at once.
 */
import { chmod, lstat, mkdir, readFile, stat, symlink } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { codeOf } from "./files.ts";

interface ListedLink {
  /** Path of the real file, from the package's root. */
  readonly source: string;
  /** Path of the link, from the package's root. */
  readonly target: string;
}

/** @returns how many links and permissions were missing and have been made */
export async function repairPackage(packageDir: string): Promise<number> {
  const links = await listedLinks(packageDir);
  let repaired = 0;
  for (const { source, target } of links) {
    const linkPath = resolve(packageDir, target);
    // The list is data from a package: nothing in it may reach outside of that package.
    if (!linkPath.startsWith(resolve(packageDir) + sep)) continue;
    if (await exists(linkPath)) continue;
    await mkdir(dirname(linkPath), { recursive: true });
    try {
      await symlink(relative(dirname(linkPath), resolve(packageDir, source)), linkPath);
      repaired++;
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error; // another process was faster
    }
  }
  for (const binary of ["initdb", "postgres"]) {
    const path = join(packageDir, "native", "bin", binary);
    const mode = (await stat(path).catch(() => undefined))?.mode;
    if (mode === undefined || (mode & 0o555) === 0o555) continue;
    await chmod(path, 0o755);
    repaired++;
  }
  return repaired;
}

/** The links that the package asks for. */
export async function listedLinks(packageDir: string): Promise<readonly ListedLink[]> {
  try {
    return JSON.parse(await readFile(join(packageDir, "native", "pg-symlinks.json"), "utf8")) as ListedLink[];
  } catch (error) {
    if (codeOf(error) === "ENOENT") return []; // packages for Windows need none
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
