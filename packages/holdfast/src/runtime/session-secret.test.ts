import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemRandom } from "../clock/index.ts";
import { findProject, type Project } from "./project.ts";
import { sessionSecret } from "./session-secret.ts";
import { makeStateFolders } from "./state-folder.ts";

let project: Project;
beforeEach(() => {
  const dir = mkdtempSync(join(tmpdir(), "hf-secret-"));
  writeFileSync(join(dir, "package.json"), "{}");
  project = findProject(dir);
  makeStateFolders(project);
});
afterEach(() => rmSync(project.root, { recursive: true, force: true }));

test("a project's secret is random, made once, and nobody else's to read", () => {
  const secret = sessionSecret(project, systemRandom);
  const file = join(project.stateDir, "session-secret");
  expect(Buffer.from(secret, "base64url")).toHaveLength(32);
  expect(readFileSync(file, "utf8")).toBe(`${secret}\n`);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(sessionSecret(project, systemRandom)).toBe(secret);
});

test("one that is cut off is made anew", () => {
  writeFileSync(join(project.stateDir, "session-secret"), "abc");
  expect(Buffer.from(sessionSecret(project, systemRandom), "base64url")).toHaveLength(32);
});
