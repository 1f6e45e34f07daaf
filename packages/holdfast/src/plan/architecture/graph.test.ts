import { expect, test } from "vitest";
import { readRequirements } from "../requirements/read.ts";
import { callerId, systemGraph } from "./graph.ts";
import { mermaid } from "./mermaid.ts";
import { graphSvg } from "./svg.ts";

const graph = systemGraph(
  readRequirements({
    operations: {
      post: {
        does: "write",
        calledBy: "authors",
        ratePerSecond: 1,
        path: [
          "edge",
          "api",
          "store",
          "log",
          { part: "deliver", async: true },
          { part: "feeds", async: true },
        ],
      },
      read: { does: "read", ratePerSecond: 1, path: ["edge", "api", "feeds"] },
    },
    parts: {
      edge: { kind: "gateway" },
      api: { kind: "service" },
      store: { kind: "database" },
      log: { kind: "topic" },
      deliver: { kind: "worker", from: "log" },
      feeds: { kind: "database" },
    },
  }),
);
const edges = graph.edges.map(({ from, to, async }) => `${from} ${async ? "-.->" : "-->"} ${to}`);

test("a step is called by the last part before it that calls; a worker is fed by its topic", () => {
  expect(edges).toEqual([
    `${callerId("authors")} --> edge`,
    "edge --> api",
    "api --> store",
    "api --> log",
    "log -.-> deliver",
    "deliver -.-> feeds",
    `${callerId("users")} --> edge`,
    "api --> feeds",
  ]);
  expect(graph.edges.find(({ to }) => to === "api")?.operations).toEqual(["post", "read"]);
});

test("the Mermaid text names every part and every edge, and quotes what could be markup", () => {
  const text = mermaid(graph, ({ id }) => `${id} "<b>"`);
  expect(text.split("\n")[0]).toBe("flowchart LR");
  expect(text.match(/-->|-\.->/g)?.length).toBe(edges.length);
  expect(text).toContain("#34;#60;b#62;#34;");
  expect(text).not.toContain("<b>");
});

test("the SVG has a box for each part and a path for each edge, inside its own bounds", () => {
  const svg = graphSvg(graph, ({ id }) => id);
  expect(svg.match(/class="box/g)?.length).toBe(graph.nodes.length);
  expect(svg.match(/class="edge/g)?.length).toBe(edges.length);
  const [, width = "0", height = "0"] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg) ?? [];
  for (const [, x = "", y = ""] of svg.matchAll(/<rect class="box[^"]*" x="([\d.]+)" y="([\d.]+)"/g)) {
    expect(Number(x)).toBeLessThan(Number(width));
    expect(Number(y)).toBeLessThan(Number(height));
  }
});
