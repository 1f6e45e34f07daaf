/** The words of backup and restore: what is refused, and what is said. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { failingText } from "../runtime/archive-watch.ts";
import type { Restored } from "../runtime/restore-system.ts";
import { cutText } from "./backup-text.ts";
import { runCommandLine } from "./main.ts";
import { restoreLines } from "./restore-text.ts";

let cwd = "";
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "hf-words-"));
  writeFileSync(join(cwd, "package.json"), "{}");
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

async function say(...words: string[]): Promise<string> {
  const lines: string[] = [];
  const line = (text: string) => lines.push(text);
  const io = { cwd, out: line, err: line, draw: () => {}, columns: undefined, color: false };
  return [await runCommandLine(words, io), ...lines].join("\n");
}

test("what does not go together is refused, all of it at once", async () => {
  const said = await say("backup", "x", "--list", "--keep", "0", "--pause-writes");
  expect(said).toMatch(/^2\n/);
  for (const problem of [
    "--keep does not go with --list",
    "--pause-writes does not go with --list",
    "--list takes no BACKUP",
    '1 to 9999, got "0"',
  ]) {
    expect(said).toContain(problem);
  }
  expect(await say("backup", "--list", "--verify")).toContain("--list and --verify are different things");
  expect(await say("restore", "--at", "yesterday", "--latest")).toMatch(
    /^2\n--at and --latest are different targets.*"yesterday"/,
  );
});

test("without a system or a backup the next step is named", async () => {
  expect(await say("backup")).toMatch(/^3\nNo system of .* is running/);
  expect(await say("backup", "--list")).toBe("0\nThere is no backup yet. `holdfast backup` makes one.");
  expect(await say("backup", "--verify")).toContain("There is no backup yet");
  expect(await say("restore")).toMatch(/^1\nThere is no backup in .*holdfast backup/);
  expect(await say("restore", "nothing")).toMatch(/^1\nThere is no backup "nothing", and none is known/);
});

test("how far nodes agree is said as it is", () => {
  const nodes = [1, 2];
  expect(cutText({ exact: true, spreadMs: 1, pausedMs: 12, nodes })).toContain(
    "exact: writes were held for 12 ms",
  );
  expect(cutText({ exact: false, spreadMs: 1.5, pausedMs: 0, nodes })).toContain("within 1.5 ms on 2 nodes");
  expect(cutText({ exact: false, spreadMs: 0, pausedMs: 0, nodes: [1] })).toContain("agrees with itself");
});

test("a restore lists its nodes, what was set aside, and what is in doubt", () => {
  const node = {
    lsn: "0/5000000",
    lastCommitAtMs: Date.UTC(2026, 4, 4, 10),
    stoppedAt: "target",
    timeline: 2,
    fork: "0/5000000",
    prepared: [{ gid: "holdfast:7", database: "app", preparedAtMs: Date.UTC(2026, 4, 4, 9) }],
    setAside: ["/data/primary.before-restore-1"],
  };
  const restored = {
    manifest: { system: "notes", name: "2026-05-04T08-00-00Z" },
    target: { kind: "time", atMs: Date.UTC(2026, 4, 4, 10) },
    nodes: [
      { node: "node-1", ...node },
      { node: "node-2", ...node, prepared: [], lastCommitAtMs: Date.UTC(2026, 4, 4, 9, 59) },
    ],
    bytes: 1 << 20,
  } as unknown as Restored;
  const said = restoreLines(restored, 2_000).join("\n");
  expect(said).toContain(
    "Restored notes from 2026-05-04T08-00-00Z to 2026-05-04T10:00:00.000Z: 1.0 MiB in 2 s",
  );
  expect(said).toContain("The last commits restored are 1 min apart");
  expect(said).toContain("/data/primary.before-restore-1");
  expect(said).toMatch(/node-1 +app +2026-05-04T09:00:00.000Z +holdfast:7/);
});

test("a failing archive says what waits, what it leads to and what to do", () => {
  const said = failingText({
    node: "node-1",
    state: "failing",
    dir: "/mnt/archive/notes/node-1",
    waitingBytes: 32 << 20,
    freeBytes: 1 << 30,
    lastArchivedAtMs: null,
    failing: "000000010000000000000007",
  });
  expect(said).toContain("000000010000000000000007 cannot be archived to /mnt/archive/notes/node-1");
  expect(said).toContain(
    "32 MiB wait on the disk of the data, where 1024 MiB are free; when it is full, writes stop",
  );
  expect(said).toContain("holdfast backup --archive off");
});
