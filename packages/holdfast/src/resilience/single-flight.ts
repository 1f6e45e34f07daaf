/**
 * Single-flight: many callers ask for one thing at one time, and it is fetched once.
 *
 * The shared work is a call of its own, not the first caller's: it lasts as long as its most patient waiter,
 * and is aborted when the last one has left. A waiter that gives up leaves the others waiting. A failure fails
 * those who wait now, and nobody after them: nothing is remembered.
 */
import { Call, currentCall, detach, HoldfastError, inCall } from "../call/index.ts";
import type { Clock } from "../clock/index.ts";

export interface SingleFlightOptions {
  /**
   * Whether callers with different principals share one load. Default false: the principal is part of the key,
   * because what a load may see depends on who asks. True is for loads that ignore who asks.
   */
  readonly acrossPrincipals?: boolean;
}

export interface SingleFlight {
  /**
   * The result of `load`, or of the load of `key` that is under way. `load` gets the shared call, which is also
   * the current one: a load that respects its signal stops when nobody waits any more.
   *
   * @param call whom to wait for. Default: the current call
   */
  run<T>(key: string, load: (shared: Call) => Promise<T>, call?: Call): Promise<T>;
  /** Loads under way. */
  readonly size: number;
}

interface Flight {
  readonly shared: Call;
  readonly abandon: AbortController;
  readonly result: Promise<unknown>;
  waiters: number;
}

export function singleFlight(clock: Clock, options: SingleFlightOptions = {}): SingleFlight {
  const flights = new Map<string, Flight>();

  const start = (name: string, load: (shared: Call) => Promise<unknown>, first: Call | undefined): Flight => {
    const abandon = new AbortController();
    const leftMs = first ? first.remainingMs() : Number.POSITIVE_INFINITY;
    // What ignores who asks belongs to nobody, so that it cannot depend on who happened to be first.
    const from =
      first && options.acrossPrincipals
        ? new Call(clock, { trace: first.trace, session: first.session })
        : first;
    const shared = detach(clock, from, {
      signal: abandon.signal,
      // What all may share is fetched for nobody in particular: not with the rights of whoever came first.
      ...(options.acrossPrincipals ? { principal: undefined } : {}),
      ...(leftMs === Number.POSITIVE_INFINITY ? {} : { timeoutMs: leftMs }),
    });
    // Begun in a promise callback, so that a load that throws at once fails like one that throws later.
    const result = Promise.resolve().then(() => inCall(shared, () => load(shared)));
    const flight: Flight = { shared, abandon, result, waiters: 0 };
    const land = () => {
      shared.end();
      if (flights.get(name) === flight) flights.delete(name);
    };
    // Also what keeps a failure that nobody waits for any more from being an unhandled rejection.
    result.then(land, land);
    flights.set(name, flight);
    return flight;
  };

  const leave = (key: string, name: string, flight: Flight) => {
    if (--flight.waiters > 0) return;
    // Whoever comes now begins anew: this one is going down.
    if (flights.get(name) === flight) flights.delete(name);
    flight.abandon.abort(
      new HoldfastError("HOLDFAST_ABORTED", "Everybody who waited for this load has given up.", {
        data: { key },
      }),
    );
  };

  return {
    get size() {
      return flights.size;
    },
    async run<T>(key: string, load: (shared: Call) => Promise<T>, call: Call | undefined = currentCall()) {
      call?.throwIfOver();
      const name = options.acrossPrincipals ? key : nameFor(key, call);
      const flight = flights.get(name) ?? start(name, load, call);
      flight.waiters++;
      flight.shared.extendTo(call ? call.deadlineAtMs : Number.POSITIVE_INFINITY);
      const signal = call?.signal;
      if (!signal) return (await flight.result) as T;
      if (signal.aborted) {
        leave(key, name, flight);
        throw signal.reason;
      }
      const { promise: gaveUp, reject } = Promise.withResolvers<never>();
      const abort = () => {
        reject(signal.reason);
        leave(key, name, flight);
      };
      signal.addEventListener("abort", abort, { once: true });
      try {
        return (await Promise.race([flight.result, gaveUp])) as T;
      } finally {
        signal.removeEventListener("abort", abort);
      }
    },
  };
}

function nameFor(key: string, call: Call | undefined): string {
  const principal = call?.principal;
  return principal
    ? JSON.stringify([key, principal.id, ...principal.roles.toSorted()])
    : JSON.stringify([key]);
}
