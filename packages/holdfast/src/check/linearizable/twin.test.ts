/** The search and its models agree with a judge that tries every order, on very many small histories. */
import { expect, test } from "vitest";
import { seededRandom } from "../../clock/index.ts";
import {
  naiveCounter,
  naiveFence,
  naiveKv,
  naiveMutex,
  naiveQueue,
  naiveRegister,
  naiveSet,
  naiveUnorderedQueue,
} from "../fixtures/naive-objects.ts";
import { isLinearizable, type NaiveObject, smallHistory } from "../fixtures/small-histories.ts";
import { pairEvents } from "../history/pairing.ts";
import { checkLinearizable } from "./check-linearizable.ts";
import type { AnyModel } from "./model.ts";
import { counterModel } from "./models/counter.ts";
import { kvModel } from "./models/kv.ts";
import { fencedMutexModel, mutexModel } from "./models/mutex.ts";
import { queueModel, unorderedQueueModel } from "./models/queue.ts";
import { casRegisterModel } from "./models/register.ts";
import { setModel } from "./models/set.ts";

const seed = 20_170_604;
const twins: readonly (readonly [AnyModel, NaiveObject, number])[] = [
  [casRegisterModel(), naiveRegister, 40_000],
  [kvModel, naiveKv, 20_000],
  [setModel, naiveSet, 12_000],
  [queueModel, naiveQueue, 12_000],
  [unorderedQueueModel, naiveUnorderedQueue, 12_000],
  [mutexModel, naiveMutex, 8_000],
  [fencedMutexModel, naiveFence, 8_000],
  [counterModel, naiveCounter, 12_000],
];

test.each(twins)(
  "$name: the same verdict as trying every order",
  { timeout: 120_000 },
  (model, twin, count) => {
    const random = seededRandom(seed);
    let illegal = 0;
    for (let round = 0; round < count; round++) {
      const events = smallHistory(twin, random, 2 + (round % 6));
      const { operations } = pairEvents(events);
      const expected = isLinearizable(twin, operations) ? "ok" : "illegal";
      const { verdict, witnesses } = checkLinearizable(model, operations);
      if (verdict !== expected)
        expect.fail(
          `seed ${seed}, round ${round}: ${verdict}, expected ${expected}\n${JSON.stringify(events)}`,
        );
      if (expected === "ok") continue;
      illegal++;
      expect(witnesses[0]?.operations.some(({ involved }) => involved)).toBe(true);
    }
    console.log(
      `${model.name}: ${count} histories, ${illegal} of them illegal, each judged as its twin judges it`,
    );
    expect(illegal).toBeGreaterThan(count / 50);
    expect(illegal).toBeLessThan(count * 0.8);
  },
);

test("these are more than 100,000 histories", () => {
  expect(twins.reduce((sum, [, , count]) => sum + count, 0)).toBeGreaterThan(100_000);
});
