/**
 * A thousand callers ask for one thing at once, and it is fetched once. A caller that gives up leaves the rest.
 *
 *   node examples/single-flight.ts
 */
import { Call } from "holdfast/call";
import { systemClock as clock } from "holdfast/clock";
import { singleFlight } from "holdfast/resilience";

const flights = singleFlight(clock);
let loads = 0;
const load = async (shared: Call) => {
  loads++;
  await clock.sleep(50, shared.signal);
  return "the answer";
};

const crowd = await Promise.all(Array.from({ length: 1000 }, () => flights.run("question", load)));
console.log(`${crowd.length} callers, ${loads} load, ${new Set(crowd).size} answer`);

const hasty = flights.run("question", load, new Call(clock, { timeoutMs: 10 }));
const patient = flights.run("question", load, new Call(clock, { timeoutMs: 1000 }));
console.log("hasty:  ", await hasty.catch((error) => error.code));
console.log("patient:", await patient, `(${loads} loads in all)`);

const alone = flights.run(
  "question",
  async (shared) => {
    await clock.sleep(10_000, shared.signal).catch((reason) => console.log("load:   ", reason.message));
  },
  new Call(clock, { timeoutMs: 10 }),
);
await alone.catch((error) => console.log("alone:  ", error.code));
