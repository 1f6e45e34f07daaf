import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { loadPlan } from "./plan.ts";
import { readLoadPlan } from "./read-plan.ts";
import { loadTarget } from "./target.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-load-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const root = { name: "root", weight: 1, request: () => ({ path: "/" }) };

test("a plan with mistakes is refused, all of them at once", () => {
  const wrong = () =>
    loadPlan({
      seed: 1.5,
      ratePerSecond: 0,
      mix: [root, { ...root, weight: -1 }, { name: "", weight: 1, request: "GET /" as never }],
    });
  expect(wrong).toThrow(/6 problems[\s\S]*seed[\s\S]*ratePerSecond[\s\S]*two requests[\s\S]*weight/);
  expect(() => loadPlan({ mix: [] })).toThrow(/at least one request/);
});

test("load is aimed at this machine unless it is allowed elsewhere", () => {
  for (const url of [
    "http://127.0.0.1:4000",
    "http://localhost:4000/x",
    "http://[::1]:4000",
    "http://127.8.8.8",
  ])
    expect(loadTarget(url, false).href).toBe(new URL(url).href);
  for (const url of [
    "http://example.com",
    "http://10.0.0.1:4000",
    "http://127.0.0.1.example.com",
    "https://[fe80::1]",
  ])
    expect(() => loadTarget(url, false)).toThrow(/--allow-remote/);
  expect(loadTarget("https://example.com", true).hostname).toBe("example.com");
  for (const url of ["", "127.0.0.1:4000", "ftp://localhost"])
    expect(() => loadTarget(url, true)).toThrow(/http/);
});

test("a system without a plan, or with a broken one, is told what to write", async () => {
  const system = join(folder, "system.ts");
  await expect(readLoadPlan(system)).rejects.toMatchObject({
    code: "HOLDFAST_SYSTEM_INVALID",
    message: expect.stringContaining("no load.ts"),
  });
  writeFileSync(join(folder, "load.ts"), "export default 7;");
  await expect(readLoadPlan(system)).rejects.toThrow(/exports no load plan/);
});
