import type { Timer } from "./clock.ts";

/** One definition of `sleep` for every clock: a timer that an abort signal can cut short. */
export function sleepOn(
  timer: (ms: number, run: () => void) => Timer,
  ms: number,
  signal?: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const abort = () => {
      waiting.cancel();
      reject(signal?.reason);
    };
    const waiting = timer(ms, () => {
      signal?.removeEventListener("abort", abort);
      resolve();
    });
    signal?.addEventListener("abort", abort, { once: true });
  });
}
