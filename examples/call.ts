/**
 * What every operation carries: deadline, trace, key, principal; through async code by itself, between processes
 * in headers.
 *
 *   node examples/call.ts
 */
import {
  Call,
  callFromHeaders,
  callFromOutside,
  currentCall,
  detach,
  headerCounter,
  headersFromCall,
  inCall,
} from "holdfast/call";
import { systemClock as clock } from "holdfast/clock";

using call = new Call(clock, {
  timeoutMs: 200,
  idempotencyKey: "order-7",
  principal: { id: "ada", roles: ["buyer"] },
});

async function deepInside(): Promise<string> {
  await clock.sleep(20);
  return `${currentCall()?.principal?.id} has ${Math.round(currentCall()?.remainingMs() ?? 0)} ms left`;
}
console.log("in the same process:", await inCall(call, deepInside));

const headers = headersFromCall(call);
console.log("to the next process:", headers);
const arrived = new Call(
  clock,
  callFromHeaders((name) => headers[name], clock),
);
console.log("over there:          the same trace", arrived.trace.traceId === call.trace.traceId);

const counter = headerCounter();
const stranger = callFromOutside((name) => ({ ...headers, traceparent: "nonsense" })[name], clock, counter);
console.log("from a stranger:    ", Object.keys(stranger), "malformed:", counter.counts);

const background = detach(clock, call);
console.log("detached work:       deadline", background.deadlineAtMs, "for", background.principal?.id);

call.signal?.addEventListener("abort", () =>
  console.log("the signal:         ", call.signal?.reason.message),
);
await clock.sleep(250);
