import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { CommandIo } from "./command.ts";
import { runCommandLine } from "./main.ts";

const repository = fileURLToPath(new URL("../../../../", import.meta.url));

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "hf-plan-"));
  symlinkSync(join(repository, "node_modules"), join(dir, "node_modules"));
  writeFileSync(join(dir, "package.json"), '{ "type": "module" }');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function holdfast(argv: readonly string[], input = "") {
  const out: string[] = [];
  const err: string[] = [];
  const io: CommandIo = {
    cwd: dir,
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    draw: (text) => void err.push(text),
    columns: undefined,
    color: false,
    input: Readable.from([input]),
  };
  const code = await runCommandLine(argv, io);
  return { code, out: out.join("\n"), err: err.join("\n") };
}

const design = (body: string) =>
  writeFileSync(
    join(dir, "requirements.ts"),
    `import { requirements } from "holdfast/plan";\nexport default requirements({ ${body} });\n`,
  );
const simple = 'operations: { read: { does: "read", ratePerSecond: 100 } }';

test("a design without code is planned: text for people, one object for programs", async () => {
  design(simple);
  const text = await holdfast(["plan"]);
  expect(text.code).toBe(0);
  expect(text.out).toMatch(/read, average +100\/s/);
  expect(text.out).toContain("saturates-first:api");
  const json = await holdfast(["plan", "requirements.ts", "--json", "--scale", "10"]);
  const plan = JSON.parse(json.out);
  expect(plan).toMatchObject({ scale: 10, capacity: { title: expect.stringContaining("shipped") } });
  expect(plan.estimates.find(({ id }: { id: string }) => id === "operations.read.rate").mid).toBe(1_000);
});

test("a system is planned by the requirements that it declares, and its parts are known", async () => {
  const { code, out } = await holdfast(["plan", join(repository, "systems/shortener"), "--json"]);
  expect(code).toBe(0);
  const { architecture } = JSON.parse(out);
  expect(architecture.parts.map(({ part }: { part: string }) => part)).toEqual(
    expect.arrayContaining(["edge", "api", "hot", "links", "clicks", "tally"]),
  );
});

test("a queue, a schedule that fills it and a change feed are planned, within the limits that they declare", async () => {
  writeFileSync(
    join(dir, "system.ts"),
    `import { database, queue, schedule, service, system, worker } from "holdfast";
    import * as v from "valibot";
    const load = async () => ({ default: async () => {} });
    const shop = database("shop", { migrations: new URL("./migrations/", import.meta.url), shards: { count: 4 } });
    const mails = queue("mails", { schema: v.object({ to: v.string() }) });
    const mailer = worker("mailer", { from: mails, load });
    const nightly = schedule("nightly", { cron: "0 3 * * *", to: mails, message: () => ({ to: "all" }) });
    const orders = shop.changes("order");
    const index = worker("index", { from: orders, load });
    const api = service("api", { load: async () => ({ default: { fetch: () => new Response("") } }) });
    const later = (part: string) => ({ part, does: "write", async: true }) as const;
    export default system("shop", {
      parts: { shop, mails, mailer, nightly, orders, index, api },
      requirements: {
        operations: {
          order: {
            does: "write",
            ratePerSecond: 100,
            path: ["api", "shop", later("mails"), later("mailer"), later("shop-order-changes"), later("index")],
          },
          night: { does: "write", calledBy: "nightly", ratePerSecond: 0.01, path: [later("mails"), later("mailer")] },
        },
      },
    });`,
  );
  const { code, out, err } = await holdfast(["plan", "--json"]);
  expect(err).toBe("");
  expect(code).toBe(0);
  const { estimates, findings } = JSON.parse(out);
  const mid = (id: string) => estimates.find((one: { id: string }) => one.id === id)?.mid;
  expect(mid("queues.mails.arrivals")).toBeCloseTo(300.03);
  expect(mid("queues.shop-order-changes.arrivals")).toBe(300);
  expect(findings.map(({ kind }: { kind: string }) => kind)).not.toContain("unbounded-queue");
});

test("what is wrong with requirements is told at once, with exit code 1", async () => {
  design('operations: { read: { does: "read", ratePerSecond: "5 MB", retries: -1, path: ["nowhere"] } }');
  const { code, err } = await holdfast(["plan"]);
  expect(code).toBe(1);
  expect(err).toContain("3 problems");
  for (const field of ["ratePerSecond", "retries", "path[0].part"])
    expect(err).toContain(`operations.read.${field}`);
  expect(JSON.parse((await holdfast(["plan", "--json"])).out)).toMatchObject({
    error: { code: "HOLDFAST_REQUIREMENTS_INVALID" },
  });
});

test("the design is written beside the requirements, and told when it is old", async () => {
  design(simple);
  expect((await holdfast(["plan", "--check"])).code).toBe(1);
  expect((await holdfast(["plan", "--write"])).code).toBe(0);
  expect(readFileSync(join(dir, "DESIGN.md"), "utf8")).toContain("```mermaid");
  expect((await holdfast(["plan", "--check"])).code).toBe(0);
  design(simple.replace("100", "200"));
  // The changed module is another one: Node keeps the first for the life of the process.
  writeFileSync(join(dir, "other.ts"), readFileSync(join(dir, "requirements.ts")));
  const old = await holdfast(["plan", "other.ts", "--check"]);
  expect(old.code).toBe(1);
  expect(old.out).toContain("out of date");
});

test("a page and a diagram are written where they should be", async () => {
  design(simple);
  expect((await holdfast(["plan", "--html", "plan.html", "--svg", "plan.svg"])).code).toBe(0);
  expect(readFileSync(join(dir, "plan.html"), "utf8")).toMatch(/^<!doctype html>/);
  expect(readFileSync(join(dir, "plan.svg"), "utf8")).toMatch(/^<svg /);
  const nowhere = await holdfast(["plan", "--html", "no/such/folder.html"]);
  expect(nowhere).toMatchObject({ code: 2, err: expect.stringContaining("cannot be written") });
});

test("questions may be answered by a pipe; a wrong answer is asked again, missing ones take the defaults", async () => {
  const asked = await holdfast(["plan", "--new"], "notes\n\n50 k\nadd\nlist\n1 kX\n2\n1 kB\n");
  expect(asked.err).toContain('It has the unit "kX"');
  expect(asked.code).toBe(0);
  const plan = await holdfast(["plan", "--json"]);
  expect(JSON.parse(plan.out)).toMatchObject({ name: "notes", scope: { in: ["add", "list"] } });
  const again = await holdfast(["plan", "--new"]);
  expect(again).toMatchObject({ code: 2, err: expect.stringContaining("is there already") });
});

test("a wrong last answer with nothing after it writes nothing", async () => {
  const asked = await holdfast(["plan", "--new"], "Not A Name");
  expect(asked.code).toBe(0); // The default name is taken once the answers end.
  expect(existsSync(join(dir, "requirements.ts"))).toBe(true);
});

test.each([
  [["plan", "nowhere"], "nowhere does not exist"],
  [["plan"], "no system.ts and no requirements.ts"],
  [["plan", "--scale", "0"], "--scale should be a number above 0"],
  [["plan", "--scale", "many"], "--scale should be a number above 0"],
  [["plan", "--new", "notes.txt"], "should be a file that ends in .ts"],
  [["plan", "--new", "no/folder/requirements.ts"], "make the folder first"],
])("%j is refused with what to do", async (argv, text) => {
  const { code, err } = await holdfast(argv);
  expect(code).toBe(2);
  expect(err).toContain(text);
});

test("DESIGN.md is of no one machine and of no other load", async () => {
  design(simple);
  expect((await holdfast(["plan", "--write", "--scale", "2"])).code).toBe(2);
  expect(existsSync(join(dir, "DESIGN.md"))).toBe(false);
});

test("a file without requirements is refused with what to write", async () => {
  writeFileSync(join(dir, "requirements.ts"), "export default 7;\n");
  expect(await holdfast(["plan"])).toMatchObject({
    code: 2,
    err: expect.stringContaining("requirements({ … })"),
  });
});

test("measured figures stand beside the estimates, and a broken file is refused", async () => {
  design(simple);
  const request = { count: 10, mean: 2, p50: 1, p99: 9 };
  const measured = {
    command: "load",
    machine: "2 cores",
    note: "",
    ratePerSecond: 50,
    seconds: 10,
    failed: 0,
    requests: { read: request },
  };
  writeFileSync(join(dir, "measured.json"), JSON.stringify(measured));
  expect((await holdfast(["plan"])).out).toMatch(
    /Measured beside the estimates[\s\S]*read +10 .* 2 ms .* 9 ms/,
  );
  writeFileSync(join(dir, "measured.json"), '{ "seconds": 0 }');
  expect((await holdfast(["plan"])).err).toMatch(/command should be text[\s\S]*seconds should be above 0/);
});

test("the schema is printed", async () => {
  const { out } = await holdfast(["plan", "--schema"]);
  expect(JSON.parse(out)).toMatchObject({
    title: "holdfast plan --json",
    required: expect.arrayContaining(["findings"]),
  });
});
