import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { PartInstanceStatus, ServerStatus, SystemStatus } from "../runtime/status.ts";
import { commandOf, readyLines } from "./ready-lines.ts";

const instance = (kind: PartInstanceStatus["kind"], name: string, pid: number): PartInstanceStatus => ({
  kind,
  name,
  part: name,
  pid,
  state: "ready",
  port: undefined,
  restarts: 0,
  upMs: 0,
  memoryBytes: 0,
  lastError: undefined,
});
const server = (role: ServerStatus["role"], pid: number): ServerStatus => ({
  name: `node-1/${role}`,
  node: "node-1",
  role,
  state: "ready",
  pid,
  port: 1,
  restarts: 0,
  lagBytes: 0,
  lastError: undefined,
});
const status: SystemStatus = {
  system: "notes",
  state: "running",
  step: undefined,
  pid: 1,
  upMs: 2_345,
  url: "http://127.0.0.1:4000",
  instances: [
    instance("service", "api-1", 12),
    instance("service", "api-2", 13),
    instance("gateway", "edge-1", 14),
  ],
  servers: [server("primary", 15), server("replica", 16)],
  failovers: [],
  replication: [],
  archives: [],
  outbox: [],
  inDoubt: [],
  changes: [],
  shards: [],
  warnings: [],
};

test("it says what to open, what to kill, where to look and how to stop", () => {
  expect(readyLines({ status, command: "npx holdfast", loadable: "systems/notes" })).toEqual([
    "",
    "notes is up after 2.3 s: 5 processes, watched over by process 1.",
    "",
    "  Open   http://127.0.0.1:4000",
    "  Kill   kill -9 12       api-1",
    "         kill -9 14       edge-1",
    "         kill -9 16       node-1/replica",
    "         kill -9 15       node-1/primary",
    "  Look   npx holdfast status",
    "  Load   npx holdfast load systems/notes --url http://127.0.0.1:4000",
    "  Stop   Ctrl-C",
    "",
  ]);
});

test("it fits into 80 columns, and a long command goes on in a second line", () => {
  const long: SystemStatus = { ...status, system: "shortener", pid: 4_194_303, upMs: 12_345 };
  const command = "npm run holdfast --";
  const lines = readyLines({ status: long, command, loadable: "examples/systems/shortener" });
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  const at = lines.findIndex((line) => line.startsWith("  Load"));
  expect(lines.slice(at, at + 2)).toEqual([
    "  Load   npm run holdfast -- load examples/systems/shortener \\",
    "           --url http://127.0.0.1:4000",
  ]);
});

test("the command is called as the project calls it", () => {
  const dir = mkdtempSync(join(tmpdir(), "hf-command-"));
  expect(commandOf(dir)).toBe("npx holdfast");
  writeFileSync(join(dir, "package.json"), JSON.stringify({ scripts: { holdfast: "node x.js" } }));
  expect(commandOf(dir)).toBe("npm run holdfast --");
  rmSync(dir, { recursive: true });
});
