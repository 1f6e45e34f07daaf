import { expect, test } from "vitest";
import { figureOf, type MachineProfile } from "../../load/profile/index.ts";
import { type Capacity, capacityIds, capacityProblem, checkCapacities } from "./capacity.ts";
import { shippedCapacities } from "./shipped.ts";
import { withProfile } from "./with-profile.ts";

const { capacities } = shippedCapacities;

test("the shipped table has every figure, with bounds in order, a title and a source", () => {
  expect(Object.keys(capacities)).toEqual([...capacityIds]);
  for (const one of Object.values(capacities)) {
    expect(capacityProblem(one), one.id).toBeUndefined();
    expect(one.source.length, one.id).toBeGreaterThan(10);
    expect(one.title, one.id).toMatch(/^[a-z]/);
    expect(one.origin).toBe("shipped");
  }
});

test("what one thread takes and what one call takes say the same", () => {
  // The least a second is the most time each: a thousand milliseconds, up to rounding.
  for (const [rate, time] of [
    ["service.requests", "service.ms"],
    ["worker.messages", "worker.ms"],
    ["cache.hits", "cache.ms"],
  ] as const)
    for (const [low, high] of [
      ["low", "high"],
      ["mid", "mid"],
      ["high", "low"],
    ] as const)
      expect(Math.abs((capacities[rate][low] * capacities[time][high]) / 1_000 - 1), rate).toBeLessThan(0.06);
});

const profile = (...figures: MachineProfile["figures"]): MachineProfile => ({
  format: 1,
  takenAt: "2026-01-31T12:00:00.000Z",
  machine: { cores: 2, processor: "Abacus", memoryBytes: 8e9, platform: "linux-x64", node: "v24.0.0" },
  figures,
});
const reads = figureOf(
  { id: "database.reads", title: "reads", unit: "/s", how: "16 in flight" },
  [900, 1_100, 1_000, 1_200, 800],
);

test("measured figures replace shipped ones, say so, and leave the others alone", () => {
  const table = withProfile(shippedCapacities, profile(reads));
  expect(table.capacities["database.reads"]).toMatchObject({
    low: 800,
    mid: 1_000,
    high: 1_200,
    origin: "measured",
    source: "measured here, 2026-01-31, median of 5 rounds: 16 in flight",
  });
  expect(table.capacities["database.writes"]).toBe(capacities["database.writes"]);
  expect(table.title).toContain("2 × Abacus, 2026-01-31");
  expect(table.title).toContain("for 1 figure,");
});

test("a figure that no plan knows is left out, one in another unit is refused", () => {
  const unknown = figureOf({ id: "moon.phase", title: "phase", unit: "count", how: "looked up" }, [1]);
  expect(withProfile(shippedCapacities, profile(unknown)).capacities).toEqual(capacities);
  expect(() => withProfile(shippedCapacities, profile({ ...reads, unit: "ms" }))).toThrow(
    "database.reads is measured in ms, and a plan reckons in /s",
  );
});

test("a table with figures that make no sense is refused with all of them", () => {
  const broken: Record<string, Capacity> = { ...capacities };
  broken["database.reads"] = { ...capacities["database.reads"], low: Number.NaN };
  broken["region.availability"] = { ...capacities["region.availability"], high: 1 };
  expect(() => checkCapacities({ title: "broken", capacities: broken as typeof capacities })).toThrow(
    /database\.reads should have 0 < low ≤ mid ≤ high.*region\.availability is a share/,
  );
});
