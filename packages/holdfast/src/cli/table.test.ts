import { expect, test } from "vitest";
import type { SystemStatus } from "../runtime/status.ts";
import { statusLines } from "./status.ts";
import { duration, size, textTable } from "./table.ts";

test("columns are aligned, and empty ones are left out", () => {
  expect(
    textTable(
      ["NAME", "PID", "LAG"],
      [
        ["api-1", "12", ""],
        ["tally-1", "345", ""],
      ],
    ),
  ).toEqual(["NAME     PID", "api-1    12", "tally-1  345"]);
});

test("spans and sizes are written for people", () => {
  expect([0, 59_999, 60_000, 3_600_000, 7_500_000, 90_000_000].map(duration)).toEqual([
    "0 s",
    "59 s",
    "1 min",
    "1 h",
    "2 h 5 min",
    "1 d 1 h",
  ]);
  expect([0, 1023, 1536, 64 << 20].map(size)).toEqual(["0 B", "1023 B", "1.5 KiB", "64 MiB"]);
});

test("status shows every process, and the last error of those that failed", () => {
  const status: SystemStatus = {
    system: "notes",
    state: "running",
    step: undefined,
    pid: 100,
    upMs: 65_000,
    url: "http://127.0.0.1:4000",
    instances: [
      {
        name: "api-1",
        kind: "service",
        part: "api",
        state: "crash-looping",
        pid: undefined,
        port: undefined,
        restarts: 5,
        upMs: undefined,
        memoryBytes: undefined,
        lastError: "exit code 1: Error: \u001b[2Jno\n  at api.ts:1",
      },
    ],
    servers: [
      {
        name: "node-1/replica-1",
        node: "node-1",
        role: "replica",
        state: "ready",
        pid: 7,
        port: 5001,
        restarts: 0,
        lagBytes: 2048,
        lastError: undefined,
      },
    ],
    shards: [],
    failovers: [
      {
        node: "node-1",
        atMs: Date.UTC(2026, 0, 2, 3, 4, 5),
        promoted: "replica-2",
        timeline: 2,
        fork: "0/3000148",
        lastSeen: "0/30A1230",
        setAside: "/data/primary.set-aside-1",
      },
    ],
    replication: [{ node: "node-1", declared: 2, quorum: 1, streaming: 1, state: "degraded" }],
    archives: [],
    outbox: [],
    inDoubt: [
      {
        database: "bank",
        node: "node-1",
        gid: "some\u001b[2J\nbody's",
        ageMs: 125_000,
        why: "foreign",
        advice: "Find out whose it is.",
        overdue: true,
      },
    ],
    changes: [],
    warnings: [
      {
        code: "hot-key",
        database: "links",
        about: '"x"',
        message: "links: key \u001b[2J got 90 %",
        data: {},
        instances: ["api-1", "api-2"],
      },
    ],
  };
  expect(statusLines(status)).toEqual([
    "notes  running for 1 min, supervisor 100",
    "gateway  http://127.0.0.1:4000",
    "",
    "NAME              KIND     STATE          PID  PORT  RESTARTS  LAG",
    "api-1             service  crash-looping             5",
    "node-1/replica-1  replica  ready          7    5001  0         2.0 KiB",
    "",
    "NODE    COMMITS   WAIT FOR  STREAMING",
    "node-1  degraded  1 of 2    1",
    "",
    "Prepared transactions hold their locks, keep vacuum back and block logical replication:",
    "DATABASE  NODE    AGE        WHY      GID",
    "bank      node-1  2 min (!)  foreign  some�[2J body's",
    "  foreign: Find out whose it is.",
    "",
    "node-1 failed over to replica-2 at 2026-01-02T03:04:05.000Z, timeline 2. Lost: the log from 0/3000148 to 0/30A1230, where it was last seen, or further. The old data is set aside: /data/primary.set-aside-1",
    "",
    "Warnings:",
    "  hot-key: links: key �[2J got 90 % (seen by api-1, api-2)",
    "",
    "Last errors:",
    "  api-1: exit code 1: Error: �[2Jno",
    "      at api.ts:1",
  ]);
});
