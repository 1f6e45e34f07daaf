/** Looking until something is seen: an effect, or its end. */
import { HoldfastError } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";

const everyMs = 15;

/**
 * Asks again and again until there is an answer.
 *
 * @param look what was seen, in words; undefined when it is not there yet. An error counts as not yet
 * @returns undefined when nothing was seen in time
 */
export async function seenWithin(
  look: () => Promise<string | undefined> | string | undefined,
  { clock, probeMs }: { readonly clock: Clock; readonly probeMs: number },
): Promise<string | undefined> {
  const deadlineMs = clock.monotonicMs() + probeMs;
  for (;;) {
    const seen = await Promise.resolve()
      .then(look)
      .catch(() => undefined);
    if (seen !== undefined) return seen;
    if (clock.monotonicMs() >= deadlineMs) return undefined;
    await clock.sleep(everyMs);
  }
}

/** The fault was done, and its probe did not see it work. */
export function noEffect(what: string, detail: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_FAULT_NO_EFFECT",
    `${what} had no effect: ${detail}. It was undone and does not count.`,
    { data: { fault: what } },
  );
}

/** It was undone, and its probe still sees it. */
export function notUndone(what: string, detail: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_FAULT_NOT_UNDONE",
    `${what} was undone, but is not seen to be gone: ${detail}. Look at the named process, link or folder before going on.`,
    { data: { fault: what } },
  );
}
