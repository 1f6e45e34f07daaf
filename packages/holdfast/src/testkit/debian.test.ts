import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findProgram, installedProgram } from "./debian.ts";
import { debianInstallScript } from "./debian-script.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "holdfast-debian-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function program(path: string, text: string): Promise<string> {
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
  return path;
}

test("a program is found by a variable, on PATH, in a folder or at a path, in this order", async () => {
  const path = await program(join(dir, "holdfast-there"), "");
  const missing = { names: ["holdfast-nowhere"], debianPackage: "none" };
  expect(await installedProgram(missing)).toBeUndefined();
  expect(await installedProgram({ ...missing, names: ["sh"] })).toMatch(/\/sh$/);
  expect(await installedProgram({ ...missing, paths: [path] })).toBe(path);
  const names = ["holdfast-nowhere", "holdfast-there"];
  expect(await installedProgram({ ...missing, names, folders: [dir] })).toBe(path);
  process.env.HOLDFAST_TEST_PROGRAM = "/named";
  try {
    const named = { ...missing, names: ["sh"], variable: "HOLDFAST_TEST_PROGRAM" };
    expect(await installedProgram(named)).toBe("/named");
  } finally {
    delete process.env.HOLDFAST_TEST_PROGRAM;
  }
});

test("what cannot be installed is told with the package and the variable", async () => {
  const path = process.env.PATH;
  process.env.PATH = dir; // no apt-get there
  try {
    const finding = findProgram({ names: ["nothing"], debianPackage: "nothing-server", variable: "NOTHING" });
    await expect(finding).rejects.toThrow(
      /apt-get install nothing-server\), or name its executable in NOTHING/,
    );
  } finally {
    process.env.PATH = path;
  }
});

/** Runs the script with an apt-get that asks the policy, as dpkg does, and writes down the answers. */
async function install(policy: string): Promise<string[]> {
  const bin = join(dir, "bin");
  await mkdir(bin, { recursive: true });
  const log = join(dir, "log");
  await program(join(bin, "apt-get"), `"${policy}" redis-server start; echo "$? $*" >>"${log}"`);
  await promisify(execFile)("/bin/sh", ["-c", debianInstallScript, "install", policy, "one", "two"], {
    env: { PATH: `${bin}:${process.env.PATH}` },
  });
  const text = await readFile(log, "utf8");
  await rm(log);
  return text.trimEnd().split("\n");
}

const installing = "-o DPkg::Lock::Timeout=240 -qq install -y --no-install-recommends one two";

test("no service starts, and the system's policy is as it was before", async () => {
  const policy = join(dir, "policy-rc.d");
  expect(await install(policy)).toEqual([`101 ${installing}`]);
  await expect(readFile(policy)).rejects.toThrow("ENOENT");

  const allows = "#!/bin/sh\nexit 0\n";
  await program(policy, "exit 0");
  expect(await install(policy)).toEqual([`101 ${installing}`]);
  expect(await readFile(policy, "utf8")).toBe(allows);

  await program(policy, "exit 101");
  expect(await install(policy)).toEqual([`101 ${installing}`]);
  expect(await readFile(policy, "utf8")).toBe("#!/bin/sh\nexit 101\n");
});

test("what a killed run left behind is put back by the next", async () => {
  const policy = join(dir, "policy-rc.d");
  await program(policy, "# Made by the Holdfast test kit while it installs a package.\nexit 101");
  await program(`${policy}.before-holdfast`, "exit 104");
  expect(await install(policy)).toEqual([`101 ${installing}`]);
  expect(await readFile(policy, "utf8")).toBe("#!/bin/sh\nexit 104\n");
  await expect(readFile(`${policy}.before-holdfast`)).rejects.toThrow("ENOENT");
});

test("stale package lists are renewed once", async () => {
  const bin = join(dir, "bin");
  await mkdir(bin);
  const log = join(dir, "log");
  const script = `echo "$4" >>"${log}"; [ "$4" = update ] && touch "${dir}/fresh"; [ -e "${dir}/fresh" ]`;
  await program(join(bin, "apt-get"), script);
  await promisify(execFile)("/bin/sh", ["-c", debianInstallScript, "install", join(dir, "policy"), "one"], {
    env: { PATH: `${bin}:${process.env.PATH}` },
  });
  expect(await readFile(log, "utf8")).toBe("install\nupdate\ninstall\n");
});
