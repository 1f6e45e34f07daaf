import { afterEach, expect, test } from "vitest";
import { HoldfastError } from "../call/index.ts";
import { type ControlServer, makeControlSocket, serveControl } from "../runtime/control.ts";
import type { MigrateEvent } from "../runtime/migrate-events.ts";
import { askMigrate, type MigrateRun } from "../runtime/migrate-request.ts";
import { ranges } from "./migrate.ts";

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

const served = async (migrate: MigrateRun) => {
  const socket = makeControlSocket();
  const status = () => Promise.reject(new Error("not asked for here"));
  const server: ControlServer = await serveControl(socket.path, { status, down: () => {}, migrate });
  closing.push(() => {
    server.close();
    socket.remove();
  });
  return { path: socket.path, server };
};
const step = (shard: number): MigrateEvent => ({
  kind: "step",
  database: "links",
  shards: 2,
  node: "node-1",
  shard,
  file: "001_é.sql",
});

test("shards are shown as ranges", () => {
  expect(ranges([0, 1, 2, 3, 7])).toBe("0-3, 7");
  expect(ranges([4])).toBe("4");
  expect(ranges([1, 3, 4])).toBe("1, 3-4");
  expect(ranges([])).toBe("");
});

test("the supervisor's events arrive one by one, and its end is the end", async () => {
  const asked: unknown[] = [];
  const { path } = await served(async (request, tell) => {
    asked.push(request);
    for (const shard of [0, 1]) tell(step(shard));
  });
  const told: MigrateEvent[] = [];
  await askMigrate(path, { check: false, systemFile: undefined }, (event) => told.push(event));
  expect(told).toEqual([step(0), step(1)]);
  await askMigrate(path, { check: true, systemFile: "/app/é/system.ts" }, () => {});
  expect(asked).toEqual([
    { check: false, systemFile: undefined },
    { check: true, systemFile: "/app/é/system.ts" },
  ]);
});

test("what the migration ended with is thrown here, with code and data", async () => {
  const { path } = await served(async () => {
    throw new HoldfastError("HOLDFAST_MIGRATION_FAILED", "001.sql failed", { data: { line: 3 } });
  });
  await expect(askMigrate(path, { check: false, systemFile: undefined }, () => {})).rejects.toMatchObject({
    code: "HOLDFAST_MIGRATION_FAILED",
    message: "001.sql failed",
    data: { line: 3 },
  });
});

test("a supervisor that goes away in between leaves an unknown outcome, and the way to look", async () => {
  const { path, server } = await served(async (_request, tell) => {
    tell(step(0));
    server.close();
    await new Promise(() => {});
  });
  await expect(askMigrate(path, { check: false, systemFile: undefined }, () => {})).rejects.toMatchObject({
    code: "HOLDFAST_UNAVAILABLE",
    outcome: "unknown",
    message: expect.stringContaining("holdfast migrate --check"),
  });
});
