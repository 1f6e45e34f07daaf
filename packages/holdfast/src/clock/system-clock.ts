/** The real clock: the host's wall clock, monotonic clock, timers and cryptographic randomness. */
import { randomFillSync } from "node:crypto";
import type { Clock, Random, Timer, TimerOptions } from "./clock.ts";
import { type HostTimers, longTimer } from "./long-timer.ts";
import { sleepOn } from "./sleep.ts";

const hostTimers: HostTimers = {
  set(run, ms, ref) {
    const handle = setTimeout(run, ms);
    if (!ref) handle.unref();
    return handle;
  },
  clear: (handle) => clearTimeout(handle as NodeJS.Timeout | undefined),
};

// Asking the system for 4 bytes costs as much as asking for 4096, so they are drawn ahead. A word is wiped when
// it is handed out: what was drawn cannot be read here later.
const drawn = new Uint32Array(1024);
let used = drawn.length;

function uint32(): number {
  if (used === drawn.length) {
    randomFillSync(drawn);
    used = 0;
  }
  const word = drawn[used] as number;
  drawn[used++] = 0;
  return word;
}

/** Cryptographic, except for `next`, which is for jitter and dice. */
export const systemRandom: Random = {
  next: () => Math.random(),
  uint32,
  bytes: (length) => randomFillSync(new Uint8Array(length)),
};

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  timer: (ms: number, run: () => void, options?: TimerOptions): Timer =>
    longTimer(hostTimers, ms, run, options),
  // A sleep keeps the process alive: somebody awaits it.
  sleep: (ms, signal) =>
    sleepOn((delay, run) => longTimer(hostTimers, delay, run, { ref: true }), ms, signal),
  random: systemRandom,
};
