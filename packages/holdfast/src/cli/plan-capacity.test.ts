import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type MachineProfile, writeProfile } from "../load/profile/index.ts";
import { shippedCapacities } from "../plan/index.ts";
import { capacityTable } from "./plan-capacity.ts";

let cwd = "";
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "holdfast-capacity-"));
  writeFileSync(join(cwd, "package.json"), "{}");
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

const profile: MachineProfile = {
  format: 1,
  takenAt: "2026-01-31T12:00:00.000Z",
  machine: { cores: 2, processor: "Abacus", memoryBytes: 8e9, platform: "linux-x64", node: "v24.0.0" },
  figures: [
    {
      id: "service.requests",
      title: "requests",
      unit: "/s",
      low: 1,
      median: 2,
      high: 3,
      rounds: 3,
      how: "by hand",
    },
  ],
};
const leave = (value = profile) => {
  mkdirSync(join(cwd, ".holdfast"), { recursive: true });
  writeProfile(join(cwd, ".holdfast/profile.json"), value);
};

test("without a profile it is the shipped table", () => {
  expect(capacityTable({ named: undefined, written: false, cwd })).toBe(shippedCapacities);
});

test("the project's profile is taken for a plan to look at, not for one that is written down", () => {
  leave();
  const table = capacityTable({ named: undefined, written: false, cwd });
  expect(table.capacities["service.requests"]).toMatchObject({ low: 1, mid: 2, high: 3, origin: "measured" });
  expect(table.title).toContain("2 × Abacus");
  expect(capacityTable({ named: undefined, written: true, cwd })).toBe(shippedCapacities);
});

test("a named profile is taken for both", () => {
  writeProfile(join(cwd, "big.json"), profile);
  for (const written of [false, true])
    expect(capacityTable({ named: "big.json", written, cwd }).capacities["service.requests"].mid).toBe(2);
});

test("a profile that is missing, broken or in other units is refused with what to do", () => {
  expect(() => capacityTable({ named: "none.json", written: false, cwd })).toThrow(
    expect.objectContaining({
      code: "HOLDFAST_USAGE",
      message: expect.stringContaining("holdfast load --profile"),
    }),
  );
  leave({ ...profile, figures: profile.figures.map((figure) => ({ ...figure, unit: "ms" as const })) });
  expect(() => capacityTable({ named: undefined, written: false, cwd })).toThrow(
    expect.objectContaining({
      code: "HOLDFAST_INPUT_INVALID",
      message: expect.stringContaining("measured in ms"),
    }),
  );
  writeFileSync(join(cwd, ".holdfast/profile.json"), "[]");
  expect(() => capacityTable({ named: undefined, written: false, cwd })).toThrow(
    expect.objectContaining({ code: "HOLDFAST_INPUT_INVALID" }),
  );
});
