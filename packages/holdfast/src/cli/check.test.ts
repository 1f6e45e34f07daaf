import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { checkers } from "../check/index.ts";
import { runCommandLine } from "./main.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-check-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function fileOf(name: string, lines: readonly string[]): string {
  const file = join(folder, name);
  writeFileSync(file, `${lines.join("\n")}\n`);
  return file;
}

const stale = fileOf("stale.log", [
  "INFO  jepsen.util - 0\t:invoke\t:write\t1",
  "INFO  jepsen.util - 0\t:ok\t:write\t1",
  "INFO  jepsen.util - 1\t:invoke\t:read\tnil",
  "INFO  jepsen.util - 1\t:ok\t:read\tnil",
]);

async function run(...argv: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runCommandLine(["check", ...argv], {
    cwd: folder,
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    draw: () => {},
    columns: undefined,
    color: false,
  });
  return { code, out: out.join("\n"), err: err.join("\n") };
}

test("an illegal history ends with 1, and says why", async () => {
  const { code, out } = await run("stale.log", "--model", "register");
  expect(code).toBe(1);
  expect(out).toContain("illegal: 2 operations contradict register.");
  expect(out).toContain("write 1");
  expect(out).toContain("read -> nothing");
});

test("a legal one ends with 0, as JSON too", async () => {
  const { code, out } = await run(stale, "--model", "sequential-register", "--json");
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ verdict: "ok", model: "sequential-register", operations: 2 });
});

test("the verdict can be had as a page", async () => {
  const { code } = await run("stale.log", "--model", "register", "--html", "verdict.html");
  expect(code).toBe(1);
  const page = readFileSync(join(folder, "verdict.html"), "utf8");
  expect(page).toContain("<svg");
  expect(page).toContain("write 1");
  expect((await run("stale.log", "--model", "register", "--html", "no/such/place.html")).code).toBe(64);
});

test("when the budget ends first, it ends with 2, which is not ok", async () => {
  const many = Array.from(
    { length: 24 },
    (_, i) => `{"type":"invoke","process":${i},"f":"enqueue","value":${i}}`,
  );
  const ends = Array.from(
    { length: 24 },
    (_, i) => `{"type":"ok","process":${i},"f":"enqueue","value":${i}}`,
  );
  const last = ["invoke", "ok"].map((type) => `{"type":"${type}","process":99,"f":"dequeue","value":99}`);
  const file = fileOf("hard.jsonl", [...many, ...ends, ...last]);
  const { code, out } = await run(file, "--model", "queue", "--timeout", "20ms");
  expect(code).toBe(2);
  expect(out).toContain("timeMs 20");
});

test("an unreadable one ends with 64, and names the line", async () => {
  const file = fileOf("torn.jsonl", ['{"type":"invoke","process":0,"f":"read"}', '{"type":"ok","pro']);
  const { code, err } = await run(file, "--model", "register");
  expect(code).toBe(64);
  expect(err).toContain("line 2: ");
  expect(err).toContain("HOLDFAST_HISTORY_UNREADABLE");
});

test("a history of something else ends with 64, and names what does not fit", async () => {
  const { code, err } = await run(stale, "--model", "queue");
  expect(code).toBe(64);
  expect(err).toContain('the model queue knows enqueue, dequeue, but event 0 is "write"');
});

test("a wrong call ends with 64, with everything that is wrong", async () => {
  const { code, err } = await run(stale, "--model", "registr", "--timeout", "soon", "--memory", "1KiB");
  expect(code).toBe(64);
  expect(err).toContain("Did you mean register?");
  expect(err).toContain("--timeout should be a time");
  expect(err).toContain("--memory should be a size");
  expect((await run()).code).toBe(64);
  expect((await run("--bogus")).code).toBe(64);
  expect((await run("missing.log", "--model", "register")).code).toBe(64);
});

test("the models are listed, each with its sentence", async () => {
  const [listed, other] = [await run("--list"), await run("--model", "list")];
  expect(listed).toEqual(other);
  expect(listed.code).toBe(0);
  for (const { name } of checkers) expect(listed.out).toMatch(new RegExp(`^  ${name} +.{20}`, "m"));
});
