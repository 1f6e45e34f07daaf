/** As staleness.test.ts, a hundred thousand times. */
import { expect, test } from "vitest";
import { runForStaleness } from "./fixtures/staleness.ts";

test("of 100,000 reads at level session none is stale", { timeout: 600_000 }, async () => {
  const { reads, stale, byReplica } = await runForStaleness("session", 100_000);
  expect({ enough: reads >= 100_000, stale }).toEqual({ enough: true, stale: 0 });
  expect(byReplica).toBeGreaterThan(1_000);
});
