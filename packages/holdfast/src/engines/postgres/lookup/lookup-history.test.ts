/** Many writers of few values, some of them killed between two steps: each value has one key at most, at every moment. */
import { expect, test } from "vitest";
import { casRegisterModel, checkLinearizable, pairEvents } from "../../../check/index.ts";
import { RecordedClient } from "../../../record/index.ts";
import { EventList, runLookups } from "../fixtures/lookup-history.ts";
import { startTestUsers } from "../fixtures/lookup-users.ts";

test.each([1, 2])(
  "on %i nodes: each value has one key at most, whoever is killed, and can be had again in the end",
  async (nodes) => {
    await using it = await startTestUsers(nodes);
    const seen = await runLookups(it, { writers: 8, operations: 40, seed: 20_261_125 + nodes });
    for (const [what, count] of Object.entries(seen))
      if (what !== "failed") expect(count, what).toBeGreaterThan(0);
  },
);

test("two keys that both took a value are a history that is refused", () => {
  const list = new EventList();
  const [ada, bob] = [new RecordedClient(list), new RecordedClient(list)];
  ada.invoke("cas", [null, 1], "red");
  ada.ok();
  bob.invoke("cas", [null, 2], "red");
  bob.ok();
  expect(checkLinearizable(casRegisterModel(), pairEvents(list.events).operations)).toMatchObject({
    verdict: "illegal",
  });
});
