/**
 * A really full disk: a small file system in memory. Deep, because mounting one needs rights that most machines
 * do not give to tests.
 */
import { execFile } from "node:child_process";
import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findServerProcesses, startNode } from "./index.ts";
import { serverTempDir } from "./socket-dir.ts";

const run = promisify(execFile);
let disk: string;
let mounted: boolean;

beforeEach(async () => {
  disk = await mkdtemp(join(serverTempDir(), "hf-full-"));
  mounted = await run("mount", ["-t", "tmpfs", "-o", "size=60m", "tmpfs", disk]).then(
    () => true,
    () => false,
  );
  await chmod(disk, 0o755);
});

afterEach(async () => {
  if (mounted) await run("umount", [disk]);
  await rm(disk, { recursive: true, force: true });
});

test("a full disk is one clear error, leaves no process and no half copy, and is over when there is room again", async (context) => {
  if (!mounted) context.skip("mounting a file system needs root and CAP_SYS_ADMIN");
  const dir = join(disk, "n");
  const servers = join(dir, "servers");
  const full = { code: "HOLDFAST_DISK_FULL" };
  // 60 MB hold a primary, and not its copy as well.
  await expect(startNode({ name: "n", dir, replicas: 1 })).rejects.toMatchObject(full);
  expect(await findServerProcesses(join(servers, "primary"))).toEqual([]);
  expect(await readdir(servers)).not.toContain("replica-1.new");

  const node = await startNode({ name: "n", dir });
  await node.stop();
  const filler = join(disk, "filler");
  await expect(writeFile(filler, Buffer.alloc(60 << 20))).rejects.toThrow("ENOSPC");
  await expect(startNode({ name: "n", dir })).rejects.toMatchObject(full);
  await rm(filler);
  await (await startNode({ name: "n", dir })).stop();
});
