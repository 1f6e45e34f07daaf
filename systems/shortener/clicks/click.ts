/**
 * A click as it travels: what the redirect saw, raw. Sorting it into bots and devices is the tally's work, so
 * that a redirect does not wait for it. No address and no full referrer is kept.
 */
import * as v from "valibot";

export const userAgentLengthMax = 512;

export const Click = v.object({
  /** The request's id, the same for all of the gateway's attempts: a click is counted once per id. */
  id: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
  code: v.pipe(v.string(), v.minLength(3), v.maxLength(64)),
  /** When it happened, in milliseconds since the epoch, by the instance's wall clock: decides the day. */
  atMs: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(253_402_300_799_999)),
  /** Host that the visitor came from, "" when not given. */
  referrer: v.pipe(v.string(), v.maxLength(255)),
  userAgent: v.pipe(v.string(), v.maxLength(userAgentLengthMax)),
});

export type Click = v.InferOutput<typeof Click>;
