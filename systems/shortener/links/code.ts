/**
 * Codes: the short part of a short link.
 *
 * A drawn code has 8 characters out of 62 from cryptographic randomness: 2.18 × 10^14 of them, so guessing
 * one of a million links takes some 10^8 tries. Drawing does not prevent collisions; the primary key of the
 * code's shard does, and the maker draws again.
 */
import * as v from "valibot";

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
export const drawnCodeLength = 8;

/** Words that mean something else in a path, in any case. */
const reserved: ReadonlySet<string> = new Set([
  "links",
  "stats",
  "api",
  "assets",
  "health",
  "favicon",
  "robots",
  "sitemap",
  "admin",
  "login",
  "logout",
  "static",
  "well-known",
]);

const shape = /^[A-Za-z0-9_-]{3,64}$/;

/** Whether `code` can be the code of a link: what cannot is unknown without asking the database. */
export function isCode(code: string): boolean {
  return shape.test(code);
}

export function isReserved(code: string): boolean {
  return reserved.has(code.toLowerCase());
}

/** A code that somebody chose. */
export const CustomCode = v.pipe(
  v.string("should be a text"),
  v.regex(shape, "should have 3 to 64 of the characters A–Z, a–z, 0–9, _ and -"),
  v.check((code) => !isReserved(code), "is a reserved word; choose another"),
);

/**
 * Draws a code, every one equally likely.
 *
 * @param bytes answers so many bytes of cryptographic randomness
 */
export function drawCode(bytes: (length: number) => Uint8Array): string {
  let code = "";
  while (code.length < drawnCodeLength) {
    for (const byte of bytes(drawnCodeLength * 2)) {
      // 248 is the largest multiple of 62 below 256: bytes above it would favour some characters.
      if (byte < 248 && code.length < drawnCodeLength) code += alphabet[byte % 62];
    }
  }
  return code;
}
