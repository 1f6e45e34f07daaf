/** Every example runs as it is, on its own, and shows something. */
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const folder = fileURLToPath(new URL("./", import.meta.url));
const examples = readdirSync(folder).filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"));

test("there are examples", () => {
  expect(examples.length).toBeGreaterThan(10);
});

test.each(examples)("%s runs and ends by itself", async (file) => {
  // A failing example rejects here with its output; one that does not end is stopped by the limit.
  const { stdout } = await promisify(execFile)(process.execPath, [file], {
    cwd: folder,
    timeout: 45_000,
    killSignal: "SIGKILL",
  });
  expect(stdout.trim()).not.toBe("");
});
