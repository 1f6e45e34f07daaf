import { expect, test } from "vitest";
import type { SystemDescription } from "./describe.ts";
import { affectedPlaces, changedSections } from "./reload.ts";
import type { Place } from "./running-parts.ts";

const place = (kind: Place["kind"], part: string, ...files: string[]) =>
  ({ kind, part, files: new Set(files) }) as unknown as Place;

const api = place("service", "api", "/s/parts.ts", "/s/api.ts");
const tally = place("worker", "tally", "/s/parts.ts", "/s/tally.ts");
const edge = place("gateway", "edge");
const places = [api, tally, edge];
const affected = (...paths: string[]) =>
  affectedPlaces(new Set(paths), places, (path) => path.startsWith("/s/migrations/"));

test("a module concerns the instances that have loaded it", () => {
  expect(affected("/s/api.ts")).toEqual([api]);
  expect(affected("/s/parts.ts")).toEqual([api, tally]);
  expect(affected("/s/load.ts")).toEqual([]);
});

test("a page concerns every service; a migration, a log and an upload none", () => {
  expect(affected("/s/page.html")).toEqual([api]);
  expect(affected("/s/page/app.js")).toEqual([api]);
  expect(affected("/s/up.log", "/s/uploads/cat.png")).toEqual([]);
  expect(affected("/s/migrations/002_more.sql")).toEqual([]);
});

test("the sections of a declaration that differ are named", () => {
  const before: SystemDescription = {
    name: "notes",
    edge: undefined,
    services: [{ name: "api", instances: 2 }],
    workers: [],
    databases: [],
    caches: [],
    topics: [],
    schedules: [],
    queues: [],
  };
  expect(changedSections(before, structuredClone(before))).toEqual([]);
  const after = { ...before, services: [{ name: "api", instances: 3 }], caches: ["hot"] };
  expect(changedSections(before, after)).toEqual(["services", "caches"]);
});
