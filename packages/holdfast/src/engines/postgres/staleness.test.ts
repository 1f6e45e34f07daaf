/** No session reads less than it has written or read, under replicas that lag; and the test can tell. */
import { expect, test } from "vitest";
import { runForStaleness } from "./fixtures/staleness.ts";

test("at level session no read is stale, and replicas answer some", async () => {
  const { stale, byReplica } = await runForStaleness("session", 3_000);
  expect(stale).toBe(0);
  expect(byReplica).toBeGreaterThan(0);
});

test("with the check switched off the same run finds stale reads", async () => {
  const { stale } = await runForStaleness("eventual", 3_000);
  expect(stale).toBeGreaterThan(0);
});
