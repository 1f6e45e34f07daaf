import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findProject, type Project } from "./project.ts";
import { makeStateFolders } from "./state-folder.ts";

let project: Project;
beforeEach(() => {
  const dir = mkdtempSync(join(tmpdir(), "hf-state-"));
  writeFileSync(join(dir, "package.json"), "{}");
  project = findProject(dir);
});
afterEach(() => rmSync(project.root, { recursive: true, force: true }));

const mode = (path: string) => statSync(path).mode & 0o777;
const planted = () => join(project.compileCache, "planted");
/** Makes the folders as they were before, with a file in the cache. */
function found(state: number, cache: number): void {
  mkdirSync(project.compileCache, { recursive: true });
  writeFileSync(planted(), "");
  chmodSync(project.compileCache, cache);
  chmodSync(project.stateDir, state);
}

test("new folders have their modes, and a second call changes nothing", () => {
  makeStateFolders(project);
  writeFileSync(planted(), "");
  makeStateFolders(project);
  expect([mode(project.stateDir), mode(project.compileCache)]).toEqual([0o755, 0o700]);
  expect(existsSync(planted())).toBe(true);
});

test.each([
  [0o777, 0o700],
  [0o775, 0o755],
  [0o755, 0o775],
])(
  "folders that others could write to (%o, %o) are closed, and the compiled modules thrown away",
  (state, cache) => {
    found(state, cache);
    makeStateFolders(project);
    expect([mode(project.stateDir), mode(project.compileCache)]).toEqual([0o755, 0o700]);
    expect(existsSync(planted())).toBe(false);
  },
);

test("a more private folder stays as its user made it", () => {
  found(0o700, 0o700);
  makeStateFolders(project);
  expect(mode(project.stateDir)).toBe(0o700);
  expect(existsSync(planted())).toBe(true);
});

test("a link, a file and a dangling link are refused", () => {
  const refused = (why: string) =>
    expect(() => makeStateFolders(project)).toThrow(
      expect.objectContaining({ code: "HOLDFAST_START_FAILED", message: expect.stringContaining(why) }),
    );
  symlinkSync(tmpdir(), project.stateDir);
  refused("is a link");
  rmSync(project.stateDir);
  symlinkSync("nowhere", project.stateDir);
  refused("is a link");
  rmSync(project.stateDir);
  writeFileSync(project.stateDir, "");
  refused("is no folder");
  rmSync(project.stateDir);
  mkdirSync(project.stateDir);
  symlinkSync(tmpdir(), project.compileCache);
  refused("is a link");
});

test.runIf(process.getuid?.() === 0)("another user's folder is refused", () => {
  mkdirSync(project.stateDir);
  chownSync(project.stateDir, 12_345, 12_345);
  expect(() => makeStateFolders(project)).toThrow("belongs to user 12345");
});
