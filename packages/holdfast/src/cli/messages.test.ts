import { expect, test } from "vitest";
import type { JobView } from "../parts/queue/index.ts";
import { messagesCommand } from "./messages.ts";
import { jobLines, messagesLines } from "./messages-text.ts";

const counts = { waiting: 12, delayed: 1, active: 3, dead: 2, oldestWaitingMs: 65_000, paused: false };

test("each queue and each consumer has a line", () => {
  const consumer = {
    name: "tally",
    ephemeral: false,
    messages: 100_000,
    oldestMs: 5_000,
    deadLetters: 4,
    members: ["tally-1"],
    partitions: [],
  };
  const lines = messagesLines({
    queues: [
      { name: "mails", ...counts },
      { name: "idle", ...counts, waiting: 0, paused: true },
    ],
    topics: [
      { name: "clicks", consumers: [consumer] },
      { name: "unread", consumers: [] },
    ],
  });
  expect(lines).toEqual([
    "",
    "QUEUE  STATE   WAITING  DELAYED  ACTIVE  DEAD  OLDEST",
    "mails  open    12       1        3       2     1 min",
    "idle   paused  0        1        3       2",
    "",
    "TOPIC   CONSUMER  LAG      OLDEST  DEAD  MEMBERS",
    "clicks  tally     100000+  5 s     4     1",
    "unread  (none)",
  ]);
  expect(messagesLines({ queues: [], topics: [] })).toEqual([]);
});

test("a dead letter is one line, whatever its failure and value hold", () => {
  const job = {
    id: "0197c0de-0000-7000-8000-000000000000",
    state: "dead",
    attempt: 3,
    name: "welcome",
    value: { text: "x".repeat(200) },
    group: undefined,
    priority: 0,
    tags: ["a", "b"],
    enqueuedAtMs: 0,
    failure: { code: "ERROR", message: "two\nlines\u001b[2J", outcome: "unknown" },
  } as unknown as JobView;
  const lines = jobLines([job], job.id);
  expect(lines).toHaveLength(4);
  expect(lines[1]).toContain("ERROR: two lines�[2J");
  expect(lines[1]?.endsWith("…")).toBe(true);
  expect(lines[3]).toBe(`There is more: --after ${job.id}`);
  expect(jobLines([], undefined)).toEqual(["No job fits."]);
});

test("two things at once, and acting on nothing, are refused before anything is asked", async () => {
  const io = { cwd: "/", out: () => {}, err: () => {}, draw: () => {}, columns: undefined, color: false };
  const run = async (values: Record<string, string | boolean>, positionals: string[]) =>
    messagesCommand.run({ values, positionals, io });
  await expect(run({ pause: true, dead: true }, ["mails"])).rejects.toThrow(
    /--dead and --pause do different/,
  );
  await expect(run({ dead: true }, [])).rejects.toThrow(/--dead needs to know of what/);
});
