/**
 * What is published: `dist`, packed, checked, installed into an empty project without running any install
 * script, and used there as a stranger would.
 */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "holdfast/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { repository } from "./source-files.ts";

const packageFolder = join(repository, "packages/holdfast");
const dist = join(packageFolder, "dist");
const project = await mkdtemp(join(tmpdir(), "holdfast-package-"));
const bin = join(project, "node_modules/holdfast/bin/holdfast.js");
const tools = join(repository, "node_modules");

/** Rejects, with its output, when the command fails. */
async function run(file: string, args: readonly string[], cwd: string): Promise<string> {
  const { stdout } = await promisify(execFile)(file, args, { cwd, timeout: 170_000, maxBuffer: 32 << 20 });
  return stdout;
}
const node = (args: readonly string[], cwd = project) => run(process.execPath, args, cwd);

beforeAll(async () => {
  await node([join(packageFolder, "scripts/build.ts")], packageFolder);
  await run("npm", ["pack", "--pack-destination", project], dist);
  await writeFile(
    join(project, "package.json"),
    JSON.stringify({ name: "stranger", private: true, type: "module" }),
  );
  const tarball = join(project, "holdfast-0.1.0.tgz");
  await run(
    "npm",
    ["install", tarball, "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"],
    project,
  );
}, 240_000);

afterAll(() => rm(project, { recursive: true, force: true }));

test("publint finds nothing to say", async () => {
  const { publint } = await import("publint");
  const { messages } = await publint({ pkgDir: dist, strict: true });
  expect(messages).toEqual([]);
});

test("the types resolve for every importer of ES modules", { timeout: 120_000 }, async () => {
  const attw = join(tools, "@arethetypeswrong/cli/dist/index.js");
  const tarball = join(project, "holdfast-0.1.0.tgz");
  const report = await node([attw, tarball, "--profile", "esm-only", "--format", "json"]);
  const { analysis } = JSON.parse(report) as { analysis: { problems: readonly TypeProblem[] } };
  // An ESM-only package cannot be resolved by CommonJS and by the algorithm from before `exports`.
  const problems = analysis.problems.filter(
    ({ resolutionKind }) => resolutionKind !== "node10" && resolutionKind !== "node16-cjs",
  );
  expect(problems).toEqual([]);
});

test("every subpath can be imported, and offers what the source offers", async () => {
  const manifest = JSON.parse(await readFile(join(packageFolder, "package.json"), "utf8"));
  const subpaths = Object.keys(manifest.exports).filter((subpath) => subpath !== "./package.json");
  const script = `
    const names = {};
    for (const subpath of ${JSON.stringify(subpaths)}) {
      names[subpath] = Object.keys(await import("holdfast" + subpath.slice(1))).sort();
    }
    console.log(JSON.stringify(names));`;
  const installed = JSON.parse(await node(["--input-type=module", "-e", script]));
  const fromSource = JSON.parse(await node(["--input-type=module", "-e", script], packageFolder));
  expect(installed).toEqual(fromSource);
  expect(Object.keys(installed)).toEqual(subpaths);
});

test("an old Node is told so before anything is imported", async () => {
  const text = await readFile(bin, "utf8");
  expect(text.indexOf("process.versions")).toBeGreaterThan(-1);
  expect(text.indexOf("process.versions")).toBeLessThan(text.indexOf("import("));
  expect(text).not.toMatch(/^import /m);
  const pretend = "data:text/javascript,Object.defineProperty(process.versions,'node',{value:'20.20.2'})";
  const refused = await node(["--import", pretend, bin, "status"]).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect((refused as { stderr: string }).stderr).toContain("needs Node 22.19 or newer; this is Node 20.20.2");
});

test("the installed command runs a system on embedded Postgres", { timeout: 120_000 }, async () => {
  await cp(join(repository, "test/house/stranger"), project, { recursive: true });
  const port = await freePort();
  const up = promisify(execFile)(
    process.execPath,
    [bin, "up", "system.ts", "--port", String(port), "--no-watch"],
    {
      cwd: project,
      timeout: 110_000,
    },
  );
  const failed = up.then(
    () => "holdfast up ended",
    (error: Error) => `holdfast up failed: ${error.message}`,
  );
  try {
    const answer = await Promise.race([firstAnswer(`http://127.0.0.1:${port}/hello`), failed]);
    expect(answer).toBe('{"greeted":"1"}');
  } finally {
    await node([bin, "down"]).catch(() => undefined);
    await failed;
  }
});

interface TypeProblem {
  readonly kind: string;
  readonly entrypoint?: string;
  readonly resolutionKind?: string;
}

async function firstAnswer(url: string): Promise<string> {
  for (;;) {
    const response = await fetch(url).catch(() => undefined);
    if (response?.ok) return response.text();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
