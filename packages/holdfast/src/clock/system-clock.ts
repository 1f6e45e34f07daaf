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

// Asking the system for 4 bytes costs as much as asking for 4096, so they are drawn ahead. What is handed out is
// wiped: what was drawn cannot be read here later.
const drawn = Buffer.alloc(4096);
let used = drawn.length;

/** @returns where `length` fresh bytes begin in `drawn` */
function draw(length: number): number {
  if (used + length > drawn.length) {
    randomFillSync(drawn);
    used = 0;
  }
  const at = used;
  used += length;
  return at;
}

function uint32(): number {
  const at = draw(4);
  const word = drawn.readUInt32LE(at);
  drawn.fill(0, at, at + 4);
  return word;
}

function bytes(length: number): Uint8Array<ArrayBuffer> {
  const taken = new Uint8Array(length);
  if (length > drawn.length / 8) return randomFillSync(taken);
  const at = draw(length);
  taken.set(drawn.subarray(at, at + length));
  drawn.fill(0, at, at + length);
  return taken;
}

/** Cryptographic, except for `next`, which is for jitter and dice. */
export const systemRandom: Random = { next: () => Math.random(), uint32, bytes };

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
