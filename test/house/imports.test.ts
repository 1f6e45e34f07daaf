/** The arrows of the house: imports run one way, engines do not know each other, and nothing goes in a circle. */
import { expect, test } from "vitest";
import { importSpecifiers, isTestFile, readSource } from "./source-files.ts";

/** A room may import the rooms listed, and itself. `docs/architecture.md` draws the same arrows. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  clock: [],
  call: ["clock"],
  placement: ["call", "clock"],
  resilience: ["call", "clock"],
  observe: ["call", "clock"],
  parts: ["resilience", "placement", "call", "clock"],
  engines: ["parts", "resilience", "placement", "call", "clock"],
  edge: ["parts", "resilience", "placement", "call", "clock"],
  load: ["call", "clock"],
  plan: ["parts", "load", "call", "clock"],
  check: ["clock"],
  faults: ["call", "clock"],
  record: ["check", "call", "clock"],
  runtime: ["engines", "edge", "load", "observe", "parts", "resilience", "placement", "call", "clock"],
  cli: ["runtime", "plan", "load", "check", "observe", "parts", "call", "clock"],
  testkit: ["runtime", "engines", "record", "check", "faults", "parts", "placement", "call", "clock"],
};

const files = readSource();
const product = files.filter((file) => !isTestFile(file.path));

test("every folder is a room with known arrows", () => {
  const rooms = new Set(product.filter((file) => file.path.includes("/")).map((file) => roomOf(file.path)));
  expect([...rooms].filter((room) => !(room in mayImport))).toEqual([]);
});

test("imports run one way", () => {
  const wrong = product.flatMap((file) => {
    const room = roomOf(file.path);
    const allowed = mayImport[room];
    if (!allowed) return []; // src/index.ts: the public face, which gathers
    return file.imports
      .filter((target) => roomOf(target) !== room && !allowed.includes(roomOf(target)))
      .map((target) => `${file.path} imports ${target}`);
  });
  expect(wrong).toEqual([]);
});

test("one engine does not know another", () => {
  const technology = (path: string) => path.split("/")[1];
  const wrong = product
    .filter((file) => roomOf(file.path) === "engines")
    .flatMap((file) =>
      file.imports
        .filter((target) => roomOf(target) === "engines" && technology(target) !== technology(file.path))
        .map((target) => `${file.path} imports ${target}`),
    );
  expect(wrong).toEqual([]);
});

test("no import goes in a circle, types included", () => {
  expect(findCycle(new Map(product.map((file) => [file.path, file.imports])))).toBeUndefined();
});

test("the search for circles can find one", () => {
  const circle = new Map([
    ["a.ts", ["b.ts"]],
    ["b.ts", ["c.ts"]],
    ["c.ts", ["a.ts"]],
  ]);
  expect(findCycle(circle)).toEqual(["a.ts", "b.ts", "c.ts", "a.ts"]);
});

test("all four ways to import are seen, and comments are not", () => {
  const text = `
    import { a } from "./a.ts";
    import type {
      B,
    } from "./b.ts";
    export * from "./c.ts";
    import "./d.ts";
    // import { e } from "./e.ts";
    const f = () => import("./f.ts");
  `;
  expect(importSpecifiers(text)).toEqual(["./a.ts", "./b.ts", "./c.ts", "./d.ts", "./f.ts"]);
});

function roomOf(path: string): string {
  return path.includes("/") ? (path.split("/")[0] as string) : path;
}

function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    path.push(file);
    for (const target of graph.get(file) ?? []) {
      const cycle = visit(target);
      if (cycle) return cycle;
    }
    path.pop();
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const cycle = visit(file);
    if (cycle) return cycle;
  }
  return undefined;
}
