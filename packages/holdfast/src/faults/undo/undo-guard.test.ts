/** The guard undoes what is left, however its process ends: tried on processes that are really killed. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { until } from "../../testkit/wait.ts";
import { shellQuote } from "./shell-quote.ts";
import { undoGuard } from "./undo-guard.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "holdfast-guard-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const written = (name: string) => readFile(join(dir, name), "utf8").catch(() => undefined);

test("what is promised and not kept is undone when the guard is let go, the latest first", async () => {
  const guard = undoGuard();
  const log = shellQuote(join(dir, "it's a log"));
  await guard.promise(`echo first >>${log}`);
  const second = await guard.promise(`echo second >>${log}`);
  await guard.promise(`printf '%s\\n' 'third  with \\ and spaces' >>${log}`);
  await second.kept();
  await second.kept();
  await guard.close();
  await guard.close();
  expect(await written("it's a log")).toBe("third  with \\ and spaces\nfirst\n");
});

test("an undo that fails does not keep the others from being done", async () => {
  const guard = undoGuard();
  await guard.promise(`echo done >${shellQuote(join(dir, "log"))}`);
  await guard.promise("exit 3; nonsense(");
  await guard.close();
  expect(await written("log")).toBe("done\n");
});

test("an undo is one line", async () => {
  const guard = undoGuard();
  await expect(guard.promise("true\ntrue")).rejects.toThrow(RangeError);
  expect(() => shellQuote("a\nb")).toThrow(RangeError);
  await guard.close();
});

for (const signal of ["SIGKILL", "SIGTERM", "SIGINT"] as const) {
  test(`${signal} to a process and its whole group leaves nothing undone`, async () => {
    const child = promiser();
    await promised(child);
    process.kill(-(child.pid as number), signal);
    await once(child, "exit");
    await until(() => written("log"), { what: "the undoing" });
    expect(await written("log")).toBe("undone\n");
  });
}

test("a process that ends by itself keeps nothing waiting, and what is left is undone", async () => {
  const child = promiser("once");
  await once(child, "exit");
  await until(() => written("log"), { what: "the undoing" });
});

function promiser(how = "stay"): ChildProcess {
  const file = fileURLToPath(new URL("../fixtures/promiser.ts", import.meta.url));
  return spawn(process.execPath, [file, join(dir, "log"), how], {
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
}

async function promised(child: ChildProcess): Promise<void> {
  await once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), "line");
}
