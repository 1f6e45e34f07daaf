import { expect, test } from "vitest";
import { Call, currentCall, HoldfastError, inCall } from "../call/index.ts";
import { manualClock } from "../clock/index.ts";
import { singleFlight } from "./single-flight.ts";

function fixture() {
  const clock = manualClock();
  const flights = singleFlight(clock);
  let loads = 0;
  let shared: Call | undefined;
  let finish: (value: string) => void = () => {};
  let fail: (error: unknown) => void = () => {};
  const load = (call: Call) => {
    loads++;
    shared = call;
    return new Promise<string>((resolve, reject) => {
      finish = resolve;
      fail = reject;
    });
  };
  return {
    clock,
    flights,
    load,
    loads: () => loads,
    shared: () => shared as Call,
    finish: (value: string) => finish(value),
    fail: (error: unknown) => fail(error),
    /** Fails the load that is under way now, whenever it is called. */
    failLater: () => fail,
  };
}

test("callers that ask for one key at one time share one load; the next ones load again", async () => {
  const { flights, load, loads, finish, clock } = fixture();
  const results = Promise.all([1, 2, 3].map(() => flights.run("a", load)));
  await clock.advance(0);
  expect([loads(), flights.size]).toEqual([1, 1]);
  finish("value");
  expect(await results).toEqual(["value", "value", "value"]);
  expect(flights.size).toBe(0);
  void flights.run("a", load);
  await clock.advance(0);
  expect(loads()).toBe(2);
});

test("a failing load fails all who wait, and is not remembered", async () => {
  const { flights, load, loads, fail, clock } = fixture();
  const results = Promise.allSettled([flights.run("a", load), flights.run("a", load)]);
  await clock.advance(0);
  fail(new Error("broken"));
  expect((await results).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  await expect(flights.run("a", async () => "fine")).resolves.toBe("fine");
  expect(loads()).toBe(1);
});

test("a load that throws before it awaits fails like any other", async () => {
  const { flights } = fixture();
  const load = () => {
    throw new Error("at once");
  };
  await expect(flights.run("a", load)).rejects.toThrow("at once");
  expect(flights.size).toBe(0);
});

test("the load is a call of its own: its waiters' trace and principal, not their deadline, key or attempt", async () => {
  const { flights, load, shared, finish, clock } = fixture();
  const principal = { id: "ada", roles: ["admin"] };
  const first = new Call(clock, { timeoutMs: 100, idempotencyKey: "k", attempt: 2, principal });
  const result = inCall(first, () =>
    flights.run("a", (call) => {
      expect(currentCall()).toBe(call);
      return load(call);
    }),
  );
  await clock.advance(0);
  expect(shared().id).not.toBe(first.id);
  expect(shared().trace.traceId).toBe(first.trace.traceId);
  expect(shared()).toMatchObject({ principal, idempotencyKey: undefined, attempt: 1 });
  finish("x");
  await result;
  first.end();
  expect(clock.pendingTimers).toBe(0);
});

test("it lasts as long as its most patient waiter", async () => {
  const { flights, load, shared, clock } = fixture();
  const hasty = flights.run("a", load, new Call(clock, { timeoutMs: 100 })).catch((error) => error);
  const patient = flights.run("a", load, new Call(clock, { timeoutMs: 300 })).catch((error) => error);
  await clock.advance(0);
  const { signal } = shared();
  expect(shared().remainingMs()).toBe(300);
  await clock.advance(100);
  expect(await hasty).toMatchObject({ code: "HOLDFAST_DEADLINE" });
  expect(signal?.aborted).toBe(false);
  await clock.advance(200);
  expect(await patient).toMatchObject({ code: "HOLDFAST_DEADLINE" });
  expect(signal?.aborted).toBe(true);
  expect(clock.pendingTimers).toBe(0);
});

test("a waiter without a deadline takes the deadline away", async () => {
  const { flights, load, shared, finish, clock } = fixture();
  flights.run("a", load, new Call(clock, { timeoutMs: 100 })).catch(() => {});
  const endless = flights.run("a", load, new Call(clock));
  await clock.advance(10_000);
  expect(shared().remainingMs()).toBe(Number.POSITIVE_INFINITY);
  expect(shared().signal?.aborted).toBe(false);
  finish("late");
  expect(await endless).toBe("late");
});

test("a waiter that gives up leaves the others; when the last has left the load is aborted and forgotten", async () => {
  const { flights, load, loads, shared, finish, failLater, clock } = fixture();
  const [one, two] = [new AbortController(), new AbortController()];
  const first = flights.run("a", load, new Call(clock, { signal: one.signal })).catch((error) => error);
  const second = flights.run("a", load, new Call(clock, { signal: two.signal })).catch((error) => error);
  await clock.advance(0);
  const abandoned = shared();
  one.abort();
  expect(await first).toMatchObject({ code: "HOLDFAST_ABORTED" });
  expect(abandoned.signal?.aborted).toBe(false);
  two.abort();
  expect(await second).toMatchObject({ code: "HOLDFAST_ABORTED" });
  expect(abandoned.signal?.reason).toMatchObject({ code: "HOLDFAST_ABORTED" });
  expect(flights.size).toBe(0);

  const failAbandoned = failLater();
  const newcomer = flights.run("a", load, new Call(clock));
  await clock.advance(0);
  expect(loads()).toBe(2);
  finish("fresh");
  expect(await newcomer).toBe("fresh");
  failAbandoned(new Error("nobody hears this")); // and it is no unhandled rejection, which would fail the run
  await clock.advance(0);
});

test("callers with different principals do not share, unless the load ignores who asks", async () => {
  const clock = manualClock();
  const as = (id: string, ...roles: string[]) => new Call(clock, { principal: { id, roles } });
  const who = async (call: Call) => call.principal?.id;
  const own = singleFlight(clock);
  expect(await Promise.all([own.run("a", who, as("ada")), own.run("a", who, as("bob"))])).toEqual([
    "ada",
    "bob",
  ]);
  let loads = 0;
  const count = async () => ++loads;
  await Promise.all([own.run("a", count, as("ada", "x", "y")), own.run("a", count, as("ada", "y", "x"))]);
  expect(loads).toBe(1);
  const common = singleFlight(clock, { acrossPrincipals: true });
  await Promise.all([common.run("a", count, as("ada")), common.run("a", count, as("bob"))]);
  expect(loads).toBe(2);
  expect(await common.run("a", who, as("ada"))).toBeUndefined(); // fetched for nobody in particular
});

test("a caller that is over already starts nothing", async () => {
  const { flights, load, loads, clock } = fixture();
  await expect(flights.run("a", load, new Call(clock, { timeoutMs: 0 }))).rejects.toBeInstanceOf(
    HoldfastError,
  );
  await clock.advance(0);
  expect([loads(), flights.size]).toEqual([0, 0]);
});
