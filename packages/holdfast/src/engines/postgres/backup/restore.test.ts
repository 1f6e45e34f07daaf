/** What was backed up comes back, row by row, and nothing is touched when it cannot. */
import { open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { systemClock } from "../../../clock/index.ts";
import { makeCut } from "./cut.ts";
import { type BackedUpNodes, backedUpNodes } from "./fixtures/backed-up-nodes.ts";
import { type Item, type Items, itemsOn } from "./fixtures/items.ts";
import { manifestName } from "./manifest.ts";
import type { TakenBackup } from "./take-backup.ts";
import { verifyFiles } from "./verify.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let world: BackedUpNodes;
let items: Items;
let taken: TakenBackup;
/** A moment between two commits after the backup, and what was there. */
let between: { readonly atMs: number; readonly items: readonly Item[] };
/** Of each node, at the end. */
let before: readonly Item[][];

const both = [0, 1];
const allItems = () => Promise.all(both.map((node) => items.all(node)));

beforeAll(async () => {
  world = await backedUpNodes(2);
  items = itemsOn(world);
  await items.make();
  for (const node of world.nodes) await node.setArchive("default");
  const writers = items.keepWriting();
  taken = await world.backup({ pauseWrites: true });
  await writers.stop();
  await items.insert(0, 100_001);
  between = { atMs: Date.now(), items: await items.all(0) };
  await sleep(5); // the next commit is stamped in another millisecond
  await items.insert(0, 100_002);
  before = await allItems();
});
afterAll(() => world?.remove());

test("at an exact cut every transaction over both nodes is on both or on neither, row by row", async () => {
  expect(taken.manifest.cut).toMatchObject({ exact: true });
  await world.stop();
  const restored = await world.restore(taken.dir, { target: { kind: "cut", cut: taken.manifest.cut } });
  await world.start();
  const [one = 0, other] = await Promise.all(both.map(items.max));
  expect(one).toBe(other);
  expect(one).toBeGreaterThan(1_000); // writes went on while it was copied
  expect(await allItems()).toEqual(before.map((rows) => rows.filter(({ id }) => id <= one)));
  expect(restored.nodes.map(({ stoppedAt, timeline, prepared }) => [stoppedAt, timeline, prepared])).toEqual([
    ["target", 2, []],
    ["target", 2, []],
  ]);
  for (const { setAside } of restored.nodes) expect(await readdir(setAside[0] ?? "")).toContain("PG_VERSION");
});

test("a time between two commits is found on the timeline of that time, which a restore has left since", async () => {
  await world.stop();
  const restored = await world.restore(taken.dir, { target: { kind: "time", atMs: between.atMs } });
  await world.start();
  expect(await items.all(0)).toEqual(between.items);
  expect(await items.max(0)).toBe(100_001);
  expect(restored.nodes[0]?.lastCommitAtMs).toBeLessThanOrEqual(between.atMs);
  expect(restored.nodes.map(({ timeline }) => timeline)).toEqual([3, 3]);
});

test("writes that cannot be held are named, and nothing is held then", async () => {
  const endpoint = world.config().nodes[1]?.primary;
  const client = new pg.Client({ ...endpoint, application_name: "slow writer" });
  await client.connect();
  await client.query("begin");
  await client.query("insert into item values (300000, 'open')");
  const holding = makeCut([world.config()], { name: "held", clock: systemClock, pauseWrites: true });
  await expect(holding).rejects.toMatchObject({
    code: "HOLDFAST_UNAVAILABLE",
    message: expect.stringContaining("slow writer"),
  });
  await client.query("rollback");
  await client.end();
  await items.insert(0, 300_001);
});

test("damaged and missing files are all named, by the check and by the restore, which touches nothing", async () => {
  const { dir, manifest } = await world.backup();
  const data = join(dir, "node-2", "data");
  const [first, second] = (manifest.nodes[1]?.files ?? []).filter(({ bytes }) => bytes > 8_192);
  const file = await open(join(data, first?.path ?? ""), "r+");
  await file.write(Buffer.from([1, 2, 3]), 0, 3, 4_000);
  await file.close();
  await rm(join(data, second?.path ?? ""));
  const files = [join(data, first?.path ?? ""), `${join(data, second?.path ?? "")} (missing)`];
  const named = { code: "HOLDFAST_BACKUP_DAMAGED", data: { files: expect.arrayContaining(files) } };
  await expect(verifyFiles(dir, { signal: new AbortController().signal })).rejects.toMatchObject(named);
  const there = await allItems();
  await world.stop();
  await expect(world.restore(dir)).rejects.toMatchObject(named);
  expect(await readdir(join(world.dir, "node-1", "servers"))).not.toContain("primary.restoring");
  await writeFile(join(dir, manifestName), "{");
  await expect(world.restore(dir)).rejects.toMatchObject({ code: "HOLDFAST_BACKUP_DAMAGED" });
  await world.start();
  expect(await allItems()).toEqual(there);
});

test("everything that speaks against a restore is told at once, and nothing is touched", async () => {
  const refused = (reasons: string) => ({
    code: "HOLDFAST_RESTORE_REFUSED",
    message: expect.stringMatching(new RegExp(reasons, "s")),
  });
  await expect(world.restore(taken.dir)).rejects.toMatchObject(
    refused("servers of node-1 run.*servers of node-2 run"),
  );
  await world.stop();
  const at = (atMs: number) => world.restore(taken.dir, { target: { kind: "time", atMs } });
  await expect(at((taken.manifest.nodes[0]?.startAtMs ?? 0) - 1)).rejects.toMatchObject(
    refused("node-1 can be restored .* at the earliest.*node-2 can be restored .* at the earliest"),
  );
  await expect(at(Date.now() + 3_600_000)).rejects.toMatchObject(refused("in the future"));
  const path = join(taken.dir, manifestName);
  const manifest = await readFile(path, "utf8");
  await writeFile(path, manifest.replaceAll('"major":18', '"major":17'));
  await expect(world.restore(taken.dir)).rejects.toMatchObject(refused("of Postgres 17, and this is 18"));
  const identifier = taken.manifest.nodes[0]?.systemIdentifier ?? "";
  await writeFile(path, manifest.replaceAll(identifier, "7000000000000000001"));
  await expect(world.restore(taken.dir)).rejects.toMatchObject(refused("node-1 is of another cluster"));
  await writeFile(path, manifest);
});
