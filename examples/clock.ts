/**
 * Time as an argument: code that waits and measures gets a clock, so that a test can move a month in a moment.
 *
 *   node examples/clock.ts
 */
import { type Clock, manualClock, systemClock } from "holdfast/clock";

async function remind(clock: Clock, afterMs: number, text: string): Promise<string> {
  const startMs = clock.monotonicMs();
  await clock.sleep(afterMs);
  return `${text}, after ${Math.round(clock.monotonicMs() - startMs)} ms`;
}

console.log("real clock:  ", await remind(systemClock, 20, "tea is ready"));

const clock = manualClock();
const reminder = remind(clock, 30 * 86_400_000, "the rent is due"); // beyond what one setTimeout can wait
await clock.advance(30 * 86_400_000);
console.log("manual clock:", await reminder);

const stop = new AbortController();
const slept = clock.sleep(1000, stop.signal).catch((reason) => `woken early: ${reason}`);
stop.abort("never mind");
console.log("aborted:     ", await slept, `(timers left: ${clock.pendingTimers})`);

console.log(
  "seeded dice: ",
  Array.from({ length: 8 }, () => 1 + Math.floor(clock.random.next() * 6)).join(" "),
);
