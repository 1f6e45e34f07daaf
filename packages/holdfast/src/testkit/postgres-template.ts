/**
 * Data directories made once per machine and copied for each test: `initdb` costs most of a server's first
 * start. One template for each node of a cluster, so that two nodes never have the same system identifier.
 */
import { execFile } from "node:child_process";
import { chmod, lstat, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type InitDataOptions, initDataDir, serverTempDir } from "../engines/postgres/embedded/index.ts";

const run = promisify(execFile);

/** All servers of the test kit have this password: they hold nothing, listen on loopback, and are gone soon. */
export const testPassword = "holdfast-test";

/** Fills `dataDir` from template number `index`, making the template when this machine has none. */
export async function copyTemplate(index: number, options: InitDataOptions): Promise<void> {
  const { binaries, user, dataDir } = options;
  const root = join(serverTempDir(), `holdfast-templates-${process.getuid?.() ?? "user"}`);
  await mkdir(root, { recursive: true, mode: 0o755 });
  if (process.getuid && (await lstat(root)).uid !== process.getuid()) {
    throw new Error(`${root} belongs to somebody else: remove it`);
  }
  // The server's user has to pass, whatever the umask was.
  if (user.separate) await chmod(root, 0o711);
  const template = join(root, `${binaries.version}-${user.uid}-${index}`);
  if (!(await isComplete(template))) {
    const making = await mkdtemp(`${template}.new-`);
    await chmod(making, 0o711);
    await initDataDir({ ...options, dataDir: join(making, "data") });
    await writeFile(join(making, "complete"), "");
    // Whoever is first wins; the other's serves as well.
    await rename(making, template).catch(() => rm(making, { recursive: true, force: true }));
  }
  const copying = `${dataDir}.new`;
  await rm(copying, { recursive: true, force: true });
  const flags = process.platform === "linux" ? ["-a", "--reflink=auto"] : ["-Rp"];
  await run("cp", [...flags, join(template, "data"), copying]);
  await rename(copying, dataDir);
}

function isComplete(template: string): Promise<boolean> {
  return readFile(join(template, "complete")).then(
    () => true,
    () => false,
  );
}
