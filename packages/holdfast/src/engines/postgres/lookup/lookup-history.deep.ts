/** As lookup-history.test.ts, longer, with several seeds, and with servers that crash and come back meanwhile. */
import { expect, test } from "vitest";
import { systemClock } from "../../../clock/index.ts";
import { runLookups } from "../fixtures/lookup-history.ts";
import { startTestUsers } from "../fixtures/lookup-users.ts";

test.each([1, 2, 3, 4, 5])("writers are killed, seed %i", { timeout: 300_000 }, async (seed) => {
  await using it = await startTestUsers(2);
  const seen = await runLookups(it, { writers: 12, operations: 200, seed });
  expect(seen.killed).toBeGreaterThan(20);
  expect(seen.overtaken).toBeGreaterThan(20);
});

test("writers are killed, and so are the servers", { timeout: 300_000 }, async () => {
  await using it = await startTestUsers(2);
  let crashes = 0;
  const seen = await runLookups(it, {
    writers: 8,
    operations: 250,
    seed: 99,
    async chaos(running) {
      while (running()) {
        await systemClock.sleep(700);
        const member = it.postgres.members[crashes++ % it.postgres.members.length];
        await member?.kill();
        await member?.restart();
      }
    },
  });
  expect(crashes).toBeGreaterThan(2);
  expect(seen.failed).toBeGreaterThan(0);
  expect(seen.changed).toBeGreaterThan(100);
});
