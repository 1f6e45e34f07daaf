import { expect, test } from "vitest";
import type { OutboxStatus } from "../runtime/status.ts";
import { outboxLines } from "./status-outbox.ts";

const route = { state: "moving", waiting: 0, oldestMs: 0, held: 0 } as const;
const source = (node: string, routes: OutboxStatus["routes"]): OutboxStatus => ({
  database: "shop",
  node,
  bytes: 1 << 20,
  routes,
});

test("nothing is said while nobody publishes in transactions", () => {
  expect(outboxLines([source("node-1", [])])).toEqual([]);
});

test("what waits is said, and what is to be done about what waits for too long", () => {
  const lines = outboxLines([
    source("node-1", [{ ...route, destination: "topic:bought" }]),
    source("node-2", [
      { ...route, destination: "topic:bought", waiting: 412, oldestMs: 73_000, held: 7 },
      { ...route, destination: "topic:gone", state: "unknown" },
      { ...route, destination: "topic:away", state: "homeless" },
    ]),
  ]);
  expect(lines).toEqual([
    "",
    "DATABASE  NODE    OUTBOX FOR    WAITING   OLDEST     HELD  SIZE",
    "shop      node-1  topic:bought  0                          1.0 MiB",
    "shop      node-2  topic:bought  412       1 min (!)  7     1.0 MiB",
    "shop      node-2  topic:gone    unknown                    1.0 MiB",
    "shop      node-2  topic:away    homeless                   1.0 MiB",
    expect.stringMatching(/shop\/node-2: .* for topic:bought waits \(412 messages, the oldest for 73 s\)/),
    expect.stringMatching(/for topic:gone will not be moved on.*delete from holdfast\.outbox/),
    expect.stringMatching(/for topic:away waits, because its home does not answer/),
  ]);
});
