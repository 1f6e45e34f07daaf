/** Benches cannot rot: each runs small, checks its answers, and prints the one object that --json promises. */
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { median, ratiosOf } from "./bench.ts";

const folder = fileURLToPath(new URL("./", import.meta.url));
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".bench.ts"))
  .map((file) => file.replace(".bench.ts", ""));

/** They start and kill whole systems, as other tests of the normal run do: these are part of the deep one. */
const onlyDeep = ["start", "failover", "reshard"];
const inThisRun = names.filter((name) => process.env.HOLDFAST_DEEP === "1" || !onlyDeep.includes(name));

const run = async (...args: string[]): Promise<string> => {
  const { stdout } = await promisify(execFile)(process.execPath, ["run.ts", ...args], {
    cwd: folder,
    timeout: 110_000,
    killSignal: "SIGKILL",
  });
  return stdout;
};

test("the list names every bench", async () => {
  const list = await run();
  for (const name of names) expect(list).toContain(name);
});

test.each(inThisRun)("%s, small", { timeout: 120_000 }, async (name) => {
  const result = JSON.parse(await run(name, "--json", "--size", "smoke"));
  expect(result.bench).toBe(name);
  expect(Object.keys(result.figures).length).toBeGreaterThan(0);
  for (const figure of Object.values<{ value: number }>(result.figures))
    expect(figure.value).toBeGreaterThan(0);
  for (const ratio of Object.values<number>(result.ratios)) expect(ratio).toBeGreaterThan(0);
  expect(result.checked).not.toBe("");
});

test("a ratio above 1 is better than the peer, for rates and for times", () => {
  const figures = [
    { name: "ours, rate", unit: "ops/s", value: 300, better: "higher" as const },
    { name: "theirs, rate", unit: "ops/s", value: 200, better: "higher" as const, peer: "ours, rate" },
    { name: "ours, time", unit: "ms", value: 2, better: "lower" as const },
    { name: "theirs, time", unit: "ms", value: 5, better: "lower" as const, peer: "ours, time" },
  ];
  expect(ratiosOf(figures)).toEqual({ "theirs, rate": 1.5, "theirs, time": 2.5 });
});

test("the median of an even count lies between its middle two", () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([9, 1, 5])).toBe(5);
});

test("a name, a size and a seed that do not exist are refused", async () => {
  for (const args of [["no-such"], [names[0] ?? "", "--size", "huge"], [names[0] ?? "", "--seed", "x"]]) {
    await expect(run(...args)).rejects.toMatchObject({ code: 2 });
  }
});
