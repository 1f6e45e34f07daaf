import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  figureOf,
  type MachineProfile,
  profileLines,
  profileProblems,
  readProfile,
  writeProfile,
} from "./index.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "holdfast-profile-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const about = {
  id: "database.reads",
  title: "reads by key of a database",
  unit: "/s",
  how: "16 in flight",
} as const;
const profile: MachineProfile = {
  format: 1,
  takenAt: "2026-01-31T12:00:00.000Z",
  machine: {
    cores: 2,
    processor: "Abacus",
    memoryBytes: 8 * 2 ** 30,
    platform: "linux-x64",
    node: "v24.0.0",
  },
  figures: [
    figureOf(about, [9_000, 11_000, 10_000]),
    figureOf(
      { id: "disk.bytes", title: "bytes written to the disk", unit: "B/s", how: "synced" },
      [2e8, 5e8],
    ),
  ],
};

test("a figure has the least, the middle and the most of its rounds", () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.1, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 9 }),
      (rounds) => {
        const { low, median, high } = figureOf(about, rounds);
        expect([low, high]).toEqual([Math.min(...rounds), Math.max(...rounds)]);
        // As many rounds are below the median as above it.
        const below = rounds.filter((value) => value < median).length;
        const above = rounds.filter((value) => value > median).length;
        expect(Math.max(below, above)).toBeLessThanOrEqual(rounds.length / 2);
        expect(low <= median && median <= high).toBe(true);
      },
    ),
  );
});

test("what is written is read, and nothing is left beside it", () => {
  const file = join(dir, "profile.json");
  writeProfile(file, profile);
  expect(readProfile(file)).toEqual(profile);
  expect(readdirSync(dir)).toEqual(["profile.json"]);
});

test("the table has a line for each figure, and says which rounds were disturbed", () => {
  const text = profileLines(profile).join("\n");
  expect(text).toMatch(/^2 × Abacus, 8\.0 GiB, linux-x64, Node v24\.0\.0/);
  expect(text).toMatch(/^reads by key of a database +10,000 +9,000 +11,000 {2}\/s$/m);
  expect(text).toMatch(/^bytes written to the disk +350 +200 +500 {2}MB\/s$/m);
  expect(text).toContain("The rounds of disk.bytes differ more than twofold");
});

test("a file that is missing, no JSON or something else is refused with every problem", () => {
  const file = join(dir, "profile.json");
  const read = () => readProfile(file);
  const refused = (message: RegExp) =>
    expect(read).toThrow(
      expect.objectContaining({ code: "HOLDFAST_INPUT_INVALID", message: expect.stringMatching(message) }),
    );
  refused(/cannot be read: ENOENT/);
  writeFileSync(file, "{");
  refused(/is no JSON/);
  writeFileSync(file, JSON.stringify({ ...profile, format: 2 }));
  refused(/format should be 1, got 2/);
  const [reads] = profile.figures;
  const broken = {
    ...profile,
    takenAt: "yesterday",
    machine: { ...profile.machine, cores: 0, node: 24 },
    figures: [reads, { ...reads, low: -1, unit: "furlongs", rounds: 0.5, how: "" }, 7],
  };
  expect(profileProblems(broken)).toEqual([
    'takenAt should be a time such as 2026-01-31T12:00:00.000Z, got "yesterday"',
    "machine.node should be a text, got 24",
    "machine.cores should be above 0, got 0",
    'figures[1].how should be a text, got ""',
    'figures[1].unit should be one of /s, ms, B, B/s, count, got "furlongs"',
    "figures[1] should have 0 < low ≤ median ≤ high, got -1, 10000, 11000",
    "figures[1].rounds should be a whole number of 1 or more, got 0.5",
    'figures[1].id "database.reads" is there twice',
    "figures[2] should be an object, got 7",
  ]);
  writeFileSync(file, JSON.stringify(broken));
  refused(/takenAt should be[\s\S]*figures\[2\]/);
});

test("whatever the file holds, it is a profile or refused", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(profileProblems(value).length).toBeGreaterThan(0);
    }),
  );
});
