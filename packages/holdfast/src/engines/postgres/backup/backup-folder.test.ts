/** Folders of backups: half of one is never taken for one. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { identifySelf } from "../embedded/processes.ts";
import { backupsIn, beginFolder, removeBackup } from "./backup-folder.ts";
import type { BackupManifest } from "./manifest.ts";

let parent = "";
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "hf-folder-"));
});
afterEach(() => rm(parent, { recursive: true, force: true }));

const atMs = Date.UTC(2026, 4, 4, 10, 15);
const manifest = (finishedAtMs: number) =>
  ({ format: 1, name: "n", system: "s", finishedAtMs, nodes: [] }) as unknown as BackupManifest;

test("two backups of one second have two names, and appear only when they are published", async () => {
  const self = await identifySelf();
  const one = await beginFolder(parent, atMs, self);
  await one.publish(manifest(1));
  const other = await beginFolder(parent, atMs, self);
  expect((await backupsIn(parent)).whole.map(({ dir }) => dir)).toEqual([
    join(parent, "2026-05-04T10-15-00Z"),
  ]);
  await other.publish(manifest(2));
  expect((await backupsIn(parent)).whole.map(({ dir }) => dir)).toEqual([
    join(parent, "2026-05-04T10-15-00Z"),
    join(parent, "2026-05-04T10-15-00Z-2"),
  ]);
  const third = await beginFolder(parent, atMs, self);
  await third.discard();
  expect(await readdir(parent)).toHaveLength(2);
});

test("what a killed maker left is removed by the next, and what a living one makes is not", async () => {
  await (await beginFolder(parent, atMs, { pid: process.pid, startTime: "another start" })).path;
  const living = await beginFolder(parent, atMs + 1_000, await identifySelf());
  await mkdir(join(parent, "2026-01-01T00-00-00Z.removing"));
  await beginFolder(parent, atMs + 2_000, await identifySelf());
  expect((await readdir(parent)).sort()).toEqual([
    "2026-05-04T10-15-01Z.making",
    "2026-05-04T10-15-02Z.making",
  ]);
  expect(living.path).toContain("2026-05-04T10-15-01Z");
});

test("a folder whose manifest is damaged is told apart from one that has none", async () => {
  await mkdir(join(parent, "photos"));
  await mkdir(join(parent, "torn"));
  await writeFile(join(parent, "torn", "manifest.json"), '{"format":1,"sys');
  await mkdir(join(parent, "evil"));
  const escaping = {
    ...manifest(1),
    nodes: [{ name: "x", files: [{ path: "../../etc/x" }], wal: [], dirs: [] }],
  };
  await writeFile(join(parent, "evil", "manifest.json"), JSON.stringify(escaping));
  expect(await backupsIn(parent)).toEqual({
    whole: [],
    damaged: [join(parent, "evil"), join(parent, "torn")],
  });
});

test("a removed backup is gone, also when the removal is cut short", async () => {
  const folder = await beginFolder(parent, atMs, await identifySelf());
  const dir = await folder.publish(manifest(1));
  await removeBackup(dir);
  expect(await readdir(parent)).toEqual([]);
});
