/**
 * The edit key: whoever made a link may change it. The key is told once, in the answer to the creation; only
 * its SHA-256 is stored.
 *
 * A creation with an idempotency key has to answer the same edit key when it is repeated, without the
 * database knowing it: the key is derived from a stored nonce and the idempotency key, and of the
 * idempotency key only a hash is stored. Whoever knows the idempotency key can repeat the request and read
 * the edit key; so it should be unguessable (a random UUID).
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

export function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64url");
}

/** @param nonce drawn once per creation and stored with its plan */
export function derivedEditKey(nonce: string, idempotencyKey: string): string {
  return createHmac("sha256", nonce).update(`edit-key:${idempotencyKey}`).digest("base64url");
}

export function opens(editKey: string, storedHash: string): boolean {
  const given = Buffer.from(sha256(editKey), "hex");
  const stored = Buffer.from(storedHash, "hex");
  return given.length === stored.length && timingSafeEqual(given, stored);
}
