import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mayPass, reachableBy } from "./reachable.ts";
import { serverTempDir, socketDirOf } from "./socket-dir.ts";

test("the first class of permissions that fits a user decides, as the system has it", () => {
  const dir = { uid: 1, gid: 10, mode: 0o40711 };
  expect(mayPass({ uid: 1, gid: 99 }, { ...dir, mode: 0o40011 })).toBe(false);
  expect(mayPass({ uid: 2, gid: 10 }, { ...dir, mode: 0o40701 })).toBe(false);
  expect(mayPass({ uid: 2, gid: 99 }, dir)).toBe(true);
  expect(mayPass({ uid: 2, gid: 99 }, { ...dir, mode: 0o40710 })).toBe(false);
});

test("one closed directory above is enough to be out of another user's reach", async () => {
  const top = await mkdtemp(join(serverTempDir(), "hft-reach-"));
  try {
    const inner = join(top, "a", "b");
    await mkdir(inner, { recursive: true, mode: 0o755 });
    const stranger = { name: "stranger", uid: 65_533, gid: 65_533, separate: true };
    expect(await reachableBy(stranger, inner)).toBe(false); // mkdtemp makes closed directories
    expect(await reachableBy({ ...stranger, separate: false }, inner)).toBe(true);
    await chmod(top, 0o711);
    expect(await reachableBy(stranger, inner)).toBe(true);
  } finally {
    await rm(top, { recursive: true });
  }
});

test("a socket's path fits the system's bound, however deep the data lies", () => {
  const deep = `/${"directory/".repeat(40)}`;
  expect(Buffer.byteLength(`${socketDirOf(deep)}/.s.PGSQL.65535.lock`)).toBeLessThanOrEqual(107);
  expect(socketDirOf(deep)).not.toBe(socketDirOf(`${deep}2`));
});
