/**
 * The idempotency key: a name that the caller gives to one intention, so that doing it twice is doing it once.
 *
 * In a header it comes bare (as Stripe has it) or as a quoted structured-field string (as the IETF draft has
 * it); both spell the same key.
 *
 * @see draft-ietf-httpapi-idempotency-key-header; RFC 9651, section 3.3.3
 */
import { isVisibleAscii } from "./header-text.ts";
import { HoldfastError } from "./holdfast-error.ts";

export const idempotencyKeyCharsMax = 255;

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID unless `key` is 1 to 255 visible ASCII characters */
export function checkIdempotencyKey(key: string): string {
  if (isVisibleAscii(key, idempotencyKeyCharsMax)) return key;
  throw new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `An idempotency key should be 1 to ${idempotencyKeyCharsMax} visible ASCII characters without spaces. Send a UUID, or hash what you have.`,
    { data: { field: "idempotencyKey", chars: key.length } },
  );
}

/** The key that a header spells, `undefined` when it spells none. */
export function decodeIdempotencyKey(text: string): string | undefined {
  // Escapes at most double the length, and two quotes stand around it.
  if (text.length > 2 * idempotencyKeyCharsMax + 2) return undefined;
  const key = text.startsWith('"') ? unquote(text) : text;
  return key !== undefined && isVisibleAscii(key, idempotencyKeyCharsMax) ? key : undefined;
}

/** Bare, unless the key itself begins with a quote. */
export function encodeIdempotencyKey(key: string): string {
  return key.startsWith('"') ? `"${key.replace(/["\\]/g, "\\$&")}"` : key;
}

function unquote(text: string): string | undefined {
  if (!/^"(?:[^"\\]|\\["\\])*"$/.test(text)) return undefined;
  return text.slice(1, -1).replace(/\\(["\\])/g, "$1");
}
