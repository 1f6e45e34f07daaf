/** Wrong clocks and full disks, on real processes. */
import { mkdtemp, readdir, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { findProgram } from "../../testkit/debian.ts";
import { type Harmed, startHarmed } from "../fixtures/harmed.ts";
import type { InjectorContext } from "../run/injector.ts";
import type { FaultMember } from "../run/target.ts";
import { type UndoGuard, undoGuard } from "../undo/undo-guard.ts";
import { clockDrift, clockOffset } from "./clock-faults.ts";
import { diskAt, openSmallDisk } from "./disk.ts";
import { diskFull } from "./disk-full.ts";
import { type FakeClock, openFakeClock } from "./fake-clock.ts";

let dir: string;
let guard: UndoGuard;
let context: InjectorContext;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "holdfast-state-"));
  guard = undoGuard();
  context = { clock: systemClock, guard, probeMs: 10_000 };
});
afterEach(async () => {
  await guard.close();
  await rm(dir, { recursive: true, force: true });
});

async function withClock(): Promise<{ server: Harmed; member: FaultMember; fake: FakeClock }> {
  await findProgram({ names: ["faketime"], debianPackage: "faketime" });
  const fake = await openFakeClock({ dir, clock: systemClock });
  const server = await startHarmed({ env: fake.env });
  const now = async () => Number(await server.ask("now"));
  return { server, fake, member: { ...server.member, clock: { fake, now } } };
}

test("a clock goes wrong while its process runs, and right again; timers do not notice", async () => {
  const { server, member, fake } = await withClock();
  await using _ = server;
  const uptime = Number(await server.ask("uptime"));
  const fault = await clockOffset.inject({ kind: "clock-offset", offsetMs: -3_600_000 }, member, context);
  expect(fault.effect).toMatch(
    /^its clock is wrong by -3(600\d|599)\d\d\d ms$|^its clock is wrong by -3(600|599)\d{3} ms$/,
  );
  expect(Math.abs(Number(await server.ask("now")) - (Date.now() - 3_600_000))).toBeLessThan(5_000);
  const elapsed = Number(await server.ask("uptime")) - uptime;
  expect(elapsed).toBeGreaterThan(0);
  expect(elapsed).toBeLessThan(60_000);
  expect(await fault.undo()).toMatch(/^its clock is right within \d+ ms$/);
  await fake.close();
  expect(await readdir(dir)).toEqual([]);
});

test("a clock drifts from where it is, without a jump", async () => {
  const { server, member, fake } = await withClock();
  await using _ = server;
  await systemClock.sleep(300); // a drift that counted from the start of the process would be seen as a jump
  const fault = await clockDrift.inject({ kind: "clock-drift", msPerSecond: 200 }, member, context);
  expect(fault.effect).toMatch(/^its clock is wrong by \d+ ms$/);
  const first = Number(await server.ask("now")) - Date.now();
  await systemClock.sleep(500);
  expect(Number(await server.ask("now")) - Date.now()).toBeGreaterThan(first);
  await fault.undo();
  await fake.close();
});

test("a process without a fake clock is refused, and so is a machine without the library", async () => {
  const reason = await clockOffset.refusal({ kind: "clock-offset", offsetMs: 1 }, { name: "api" });
  expect(reason).toBe("api was not started under a fake clock (openFakeClock)");
});

const mounts = process.getuid?.() === 0 && process.platform === "linux";
const why = mounts ? "" : " (skipped: mounting takes root on Linux)";

test.skipIf(!mounts)(
  `a full disk fails every write with ENOSPC, and has room again at the end${why}`,
  async () => {
    await using disk = await openSmallDisk({ dir: join(dir, "data"), bytes: 4 << 20, guard });
    await using server = await startHarmed({ folder: disk.dir });
    const member = { ...server.member, disk };
    expect(await server.ask("write")).toBe("written");
    const fault = await diskFull.inject({ kind: "disk-full" }, member, context);
    expect(fault).toMatchObject({
      by: "filler file on a filesystem of 4194304 bytes",
      effect: "a write of 65536 bytes fails with ENOSPC",
    });
    expect(await server.ask("write")).toBe("ENOSPC");
    expect(await fault.undo()).toBe("a write of 65536 bytes succeeds");
    expect(await server.ask("write")).toBe("written");
    expect((await readdir(disk.dir)).filter((name) => name.startsWith(".holdfast"))).toEqual([]);
  },
);

test.skipIf(!mounts)(`a disk of its own is gone when it is closed${why}`, async () => {
  const path = join(dir, "data");
  const disk = await openSmallDisk({ dir: path, bytes: 1 << 20, guard });
  const { blocks, bsize } = await statfs(path);
  expect(blocks * bsize).toBe(1 << 20);
  await disk.close();
  await disk.close();
  expect(await readdir(dir)).toEqual([]);
});

test("a folder on a disk that others use is not filled", async () => {
  const reason = await diskFull.refusal({ kind: "disk-full" }, { name: "db", disk: diskAt(dir) });
  expect(reason).toMatch(/is no filesystem of its own: filling it would fill everybody's disk/);
  expect(await diskFull.refusal({ kind: "disk-full" }, { name: "db" })).toMatch(
    /says nothing about a disk of db/,
  );
});
