/** Restores that are interrupted, and logs with gaps: a server is started and stopped many times here. */
import { readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { HoldfastError } from "../../../call/index.ts";
import { systemClock } from "../../../clock/index.ts";
import { until } from "../../../testkit/index.ts";
import { readNodeRecord, writeNodeRecord } from "../embedded/node-record.ts";
import { makeCut } from "./cut.ts";
import { type BackedUpNodes, backedUpNodes } from "./fixtures/backed-up-nodes.ts";
import { type Items, itemsOn } from "./fixtures/items.ts";
import { finishSwap } from "./restore-swap.ts";
import type { TakenBackup } from "./take-backup.ts";
import { verifyFiles } from "./verify.ts";
import { verifyDeep } from "./verify-deep.ts";

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let world: BackedUpNodes;
let items: Items;
let taken: TakenBackup;

beforeAll(async () => {
  world = await backedUpNodes(2);
  items = itemsOn(world);
  await items.make();
  for (const node of world.nodes) await node.setArchive("default");
  taken = await world.backup();
});
afterAll(() => world?.remove());

test("a cut that was made apart from a backup is restored to by its name", async () => {
  await items.insert(0, 2_001);
  const cut = await makeCut([world.config()], { name: "named", clock: systemClock });
  await items.insert(1, 2_002);
  await world.stop();
  await world.restore(taken.dir, { target: { kind: "cut", cut } });
  await world.start();
  expect(await Promise.all([items.max(0), items.max(1)])).toEqual([2_001, 900]);
});

test("a restore that was interrupted in the swap is gone on with", async () => {
  await items.insert(1, 3_001);
  await world.stop();
  await world.restore(taken.dir);
  // As it is when the swap is cut short within the second node: the journal is there, the first node is in its place,
  // and of the second the data of before is away.
  const record = await readNodeRecord(join(world.dir, "node-2"));
  const last = record?.restores?.at(-1);
  if (!record || !last) throw new Error("node-2 was not restored");
  const { serversDir } = record;
  await rename(join(serversDir, "primary"), join(serversDir, "primary.restoring"));
  await writeNodeRecord(join(world.dir, "node-2"), {
    ...record,
    restores: record.restores?.slice(0, -1) ?? [],
  });
  const number = Number(/\d+$/.exec(last.setAside[0] ?? "")?.[0]);
  const { setAside: _, ...restore } = last;
  const journal = { format: 1, nodes: [{ name: "node-2", serversDir, number, restore }] };
  await writeFile(join(world.dir, "restore.json"), JSON.stringify(journal));
  expect(await finishSwap(world.dir)).toBe(true);
  expect(await finishSwap(world.dir)).toBe(false);
  expect((await readNodeRecord(join(world.dir, "node-2")))?.restores?.at(-1)).toEqual(last);
  await world.start();
  expect(await items.max(1)).toBe(3_001);
});

test("a transaction that was prepared and not decided at the target is listed, and can be settled", async () => {
  await world.ask(0, "begin; insert into item values (4001, 'doubt'); prepare transaction 'holdfast:doubt'");
  const other = await world.backup();
  await world.ask(0, "rollback prepared 'holdfast:doubt'");
  await world.stop();
  const restored = await world.restore(other.dir, { target: { kind: "cut", cut: other.manifest.cut } });
  expect(restored.nodes[0]?.prepared).toMatchObject([{ gid: "holdfast:doubt", database: "app" }]);
  await world.start();
  await world.ask(0, "commit prepared 'holdfast:doubt'");
  expect(await items.max(0)).toBe(4_001);
});

test("a whole backup can be tried: it is started at its cut, and every table read", async () => {
  const { signal } = new AbortController();
  await verifyFiles(taken.dir, { signal });
  const read = await verifyDeep(taken.dir, { clock: systemClock, signal });
  expect(read.map(({ tables, rows }) => [tables, rows])).toEqual([
    [1, 900],
    [1, 900],
  ]);
});

test("a gap in the archive is named with the latest time before it, which can be restored", async () => {
  const base = await world.backup();
  const marks: number[] = [];
  for (const id of [5_001, 5_002, 5_003]) {
    await items.insert(0, id);
    marks.push(Date.now());
    await sleep(5);
    await world.ask(0, "select pg_switch_wal()");
  }
  // An archiver that was told to archive elsewhere starts anew, which takes some seconds.
  await until(async () => (await world.nodes[0]?.archiveState())?.waiting === 0, {
    timeoutMs: 60_000,
    what: "the archive",
  });
  await world.stop();
  // Only the archive is left, and of it one segment is missing.
  const servers = join(world.dir, "node-1", "servers");
  for (const name of await readdir(servers)) {
    if (name.startsWith("primary")) await rm(join(servers, name), { recursive: true });
  }
  const archive = world.nodes[0]?.archiveDir ?? "";
  const held = (base.manifest.nodes[0]?.wal ?? []).map(({ path }) => path).filter(isSegment);
  const newer = (await readdir(archive))
    .filter((name) => isSegment(name) && name > (held.at(-1) ?? ""))
    .sort();
  const [, missing = ""] = newer;
  await rename(join(archive, missing), join(archive, `${missing}.away`));
  const failure = (atMs?: number) =>
    world
      .restore(base.dir, atMs === undefined ? {} : { target: { kind: "time", atMs } })
      .then(() => undefined)
      .catch((error: HoldfastError) => error);
  expect(await failure()).toMatchObject({
    code: "HOLDFAST_WAL_MISSING",
    message: expect.stringContaining(`from ${missing} is missing`),
  });
  // What was committed between the last commit before the gap and this time is in the gap, if there was anything.
  const unsure = await failure(marks[0]);
  expect(unsure).toMatchObject({
    code: "HOLDFAST_WAL_MISSING",
    message: expect.stringContaining("latest reachable"),
  });
  const atMs = unsure?.data.latestAtMs as number;
  expect(atMs).toBeLessThanOrEqual(marks[0] ?? 0);
  await world.restore(base.dir, { target: { kind: "time", atMs } });
  await rename(join(archive, `${missing}.away`), join(archive, missing));
  await world.start();
  expect(await items.max(0)).toBe(5_001);
});

test("an archive that has moved, and one that was switched off, still serve the times of then", async () => {
  const base = await world.backup();
  const [node] = world.nodes;
  const archived = async (id: number) => {
    await items.insert(0, id);
    const atMs = Date.now();
    await sleep(5);
    await world.ask(0, "select pg_switch_wal()");
    await until(async () => (await node?.archiveState())?.waiting === 0, {
      timeoutMs: 60_000,
      what: "the archive",
    });
    return atMs;
  };
  const first = await archived(5_501);
  await node?.setArchive(`${world.dir} moved`);
  const second = await archived(5_502);
  await node?.setArchive(null);
  await world.stop();
  await rm(join(world.dir, "node-1", "servers", "primary"), { recursive: true });
  const maxAt = async (atMs: number) => {
    await world.restore(base.dir, { target: { kind: "time", atMs } });
    await world.start();
    const max = await items.max(0);
    await world.stop();
    return max;
  };
  expect(await maxAt(second)).toBe(5_502);
  expect(await maxAt(first)).toBe(5_501);
  await world.start();
  await world.nodes[0]?.setArchive("default");
});

test("an archive that cannot be written to is seen to fail, loses nothing, and catches up", async () => {
  const [node] = world.nodes;
  const dir = node?.archiveDir ?? "";
  await rename(dir, `${dir}.away`);
  await items.insert(0, 6_001);
  await world.ask(0, "select pg_switch_wal()");
  const look = () => node?.archiveState();
  await until(async () => (await look())?.failing, {
    timeoutMs: 120_000,
    what: "the failure of the archive",
  });
  expect((await look())?.waiting).toBeGreaterThan(0);
  await rename(`${dir}.away`, dir);
  await until(async () => (await look())?.waiting === 0, { timeoutMs: 120_000, what: "the archive" });
  expect((await look())?.failing).toBeNull();
});

function isSegment(name: string): boolean {
  return /^[0-9A-F]{24}$/.test(name);
}
