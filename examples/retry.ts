/**
 * Trying again: only when it is safe, only while a budget lasts, never past the deadline.
 *
 *   node examples/retry.ts
 */
import { Call, HoldfastError } from "holdfast/call";
import { systemClock as clock } from "holdfast/clock";
import { retry, retryBudget } from "holdfast/resilience";

let attempts = 0;
const value = await retry(
  async (call) => {
    attempts++;
    if (call.attempt < 3) throw new HoldfastError("HOLDFAST_OVERLOADED", "The pool is full.");
    return "stored";
  },
  { clock, baseMs: 10 },
);
console.log(`refused twice, nothing applied: ${value} at attempt ${attempts}`);

const lostAnswer = async () => {
  attempts++;
  throw new HoldfastError("HOLDFAST_CONNECTION_LOST", "The answer never came.");
};
for (const idempotencyKey of [undefined, "order-7"]) {
  attempts = 0;
  const call = new Call(clock, idempotencyKey ? { idempotencyKey } : {});
  await retry(lostAnswer, { clock, call, baseMs: 10 }).catch((error) => {
    console.log(
      `answer lost, key ${idempotencyKey}: ${attempts} attempts, then ${error.code} (${error.outcome})`,
    );
  });
}

// An outage: 200 calls, all refused. Three attempts each would triple the load; the budget allows ten more in all.
const budget = retryBudget(clock);
attempts = 0;
const refused = async () => {
  attempts++;
  throw new HoldfastError("HOLDFAST_OVERLOADED", "The pool is full.");
};
await Promise.allSettled(Array.from({ length: 200 }, () => retry(refused, { clock, budget, baseMs: 5 })));
console.log(`an outage: 200 calls cost ${attempts} attempts`);
