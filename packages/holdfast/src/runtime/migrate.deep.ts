/** `holdfast migrate` as a person calls it: on a project that never ran, a stopped system, and a running one. */
import { afterEach, expect, test, vi } from "vitest";
import { eventuallyMs, type TestProject, testProject } from "./fixtures/test-project.ts";

vi.setConfig({ testTimeout: 4 * eventuallyMs, hookTimeout: 2 * eventuallyMs });

let project: TestProject | undefined;
afterEach(() => project?.remove());

test("check tells by its exit code, a stopped system is started for it, a running one is migrated where it runs", async () => {
  project = testProject();
  const never = await project.holdfast("migrate", "--check");
  expect([never.code, never.stdout]).toEqual([5, expect.stringContaining("pending")]);
  const first = await project.holdfast("migrate");
  expect(first.code, first.stderr).toBe(0);
  expect((await project.holdfast("migrate", "--check")).code).toBe(0);
  await expect(project.status()).rejects.toThrow();

  const up = project.up("--no-watch");
  await up.ready();
  project.write("migrations/090_gap.sql", "select 1;");
  const wrong = await project.holdfast("migrate", "--json");
  expect([wrong.code, wrong.stdout]).toEqual([1, expect.stringContaining("HOLDFAST_MIGRATION_INVALID")]);
  const other = await project.holdfast("migrate", "--check", "elsewhere.ts");
  expect(other.code).toBe(2);
});
