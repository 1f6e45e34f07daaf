import { Ajv } from "ajv";
import { expect, test } from "vitest";
import { shippedCapacities } from "../capacity/shipped.ts";
import { roundTable } from "../fixtures/round-table.ts";
import { makePlan } from "../plan.ts";
import { readRequirements } from "../requirements/read.ts";
import { designHtml, designSvg } from "./html.ts";
import { planJson, planSchema } from "./json.ts";
import { designMarkdown } from "./markdown.ts";
import { planLines } from "./text.ts";

const nasty = '<img src=x onerror="alert(1)">|`"';
const requirements = readRequirements({
  name: "notes",
  summary: nasty,
  operations: {
    add: { does: "write", ratePerSecond: [1, 5, 2_000], path: ["edge", "api", "store", "log"] },
    look: {
      does: "read",
      ratePerSecond: 20_000,
      path: ["edge", "api", "hot", { part: "store", onMissOf: "hot" }],
    },
  },
  outOfScope: [nasty],
  data: { notes: { in: "store", itemBytes: "1 kB", growsWith: "add", hitRatio: "90 %" } },
  parts: {
    edge: { kind: "gateway" },
    api: { kind: "service", instances: 2 },
    hot: { kind: "cache" },
    store: { kind: "database" },
    log: { kind: "topic" },
  },
  decisions: [{ question: nasty, options: ["a", "b"], choice: "a", because: "c", price: "d" }],
  prices: {
    currency: "EUR",
    source: "made up",
    instanceHour: 0.1,
    nodeHour: 1,
    storageGigabyteMonth: 0.1,
    egressGigabyte: 0.01,
  },
});
const plan = makePlan(requirements, { capacity: roundTable });
const validate = new Ajv({ allErrors: true }).compile(planSchema);

test.each([1, 0.001, 1_000])("the JSON is as the schema says, at %d times the load", (scale) => {
  const said = JSON.parse(planJson(makePlan(requirements, { capacity: shippedCapacities, scale })));
  expect(validate(said), JSON.stringify(validate.errors)).toBe(true);
});

test("the schema says no to what it does not know", () => {
  const said = JSON.parse(planJson(plan));
  expect(validate({ ...said, more: 1 })).toBe(false);
  expect(validate({ ...said, findings: [{ ...said.findings[0], severity: "bad" }] })).toBe(false);
  expect(validate({ ...said, estimates: [{ ...said.estimates[0], low: "1" }] })).toBe(false);
});

test("every estimate and every finding is in the text, the written design and the page", () => {
  const text = planLines(plan, { color: false, columns: 10_000 }).join("\n");
  const markdown = designMarkdown(plan, { command: "x" });
  const html = designHtml(plan);
  for (const { title } of plan.estimates) {
    expect(text).toContain(title);
    expect(markdown).toContain(title);
    expect(html).toContain(title);
  }
  for (const { id } of plan.findings) {
    expect(text).toContain(id);
    expect(markdown).toContain(id);
    expect(html).toContain(id);
  }
});

test("the page needs nothing from outside, and no name becomes markup", () => {
  const html = designHtml(plan);
  expect(html).not.toMatch(/<(script|link|img|iframe)/i);
  expect(html.replaceAll("http://www.w3.org/2000/svg", "")).not.toMatch(/https?:\/\//);
  expect(designMarkdown(plan, { command: "x" })).not.toMatch(/(?<!\\)<img/);
  expect(designSvg(plan)).toMatch(/^<svg [^>]*viewBox="0 0 \d+ \d+"/);
});

test("the written design says the same whenever it is written", () => {
  const again = makePlan(requirements, { capacity: roundTable });
  expect(designMarkdown(again, { command: "x" })).toBe(designMarkdown(plan, { command: "x" }));
  expect(designHtml(again)).toBe(designHtml(plan));
});

test("colours are for terminals only, and lines keep to the width", () => {
  const plain = planLines(plan, { color: false, columns: 100 });
  expect(plain.join("")).not.toContain("\u001b[");
  expect(planLines(plan, { color: true, columns: 100 }).join("")).toContain("\u001b[");
  expect(plain.filter((line) => line.length > 100)).toEqual([]);
});

test("cost is there with a price list: instances, nodes, storage and what goes out", () => {
  const cost = plan.estimates.filter(({ group }) => group === "cost");
  expect(cost.map(({ id }) => id)).toEqual([
    "cost.instances",
    "cost.nodes",
    "cost.storage",
    "cost.egress",
    "cost.total",
  ]);
  const total = cost.at(-1)?.mid ?? 0;
  expect(total).toBeCloseTo(cost.slice(0, -1).reduce((sum, { mid }) => sum + mid, 0));
  expect(cost.at(-1)?.unit).toBe("EUR/month");
});
