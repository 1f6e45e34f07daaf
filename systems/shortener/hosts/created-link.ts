/** A link that was made, as it travels: published in the transaction that makes it, so there is one for each link. */
import * as v from "valibot";

export const CreatedLink = v.object({
  code: v.pipe(v.string(), v.minLength(3), v.maxLength(64)),
  /** The host that the link leads to, in normal form (punycode). */
  host: v.pipe(v.string(), v.minLength(1), v.maxLength(255)),
});

export type CreatedLink = v.InferOutput<typeof CreatedLink>;

/** @param url a checked target */
export function hostOf(url: string): string {
  return new URL(url).hostname;
}
