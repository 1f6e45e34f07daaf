/**
 * A session's token outside of the system: sealed by the gateway, so that a client can carry it and cannot make one
 * up. A made-up position would send every read of it to the primary, or have it refused.
 *
 * The token says nothing secret (how far some logs were); the seal is a keyed hash over it with the project's secret.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

export const sessionHeader = "holdfast-session";
export const sessionCookie = "holdfast-session";

/** Bytes of HMAC-SHA256 that are kept: forging one takes 2^127 tries on average. */
const sealBytes = 16;
/** Shortest secret, in bytes. */
export const sealSecretBytesMin = 32;

export interface GatewaySessionOptions {
  /** The project's secret, 32 bytes or more, the same in every process of the gateway. */
  readonly secret: Uint8Array;
  /** Whether clients may carry the token in a cookie as well as in the header. Default false. */
  readonly cookie?: boolean;
}

export interface SessionSeal {
  /** The text to hand to a client. Empty for an empty token: there is nothing to carry. */
  seal(token: string): string;
  /** The token in what a client sent; `undefined` when it was not sealed here. */
  open(text: string): string | undefined;
}

export function sessionSeal(secret: Uint8Array): SessionSeal {
  const hashOf = (token: string) =>
    createHmac("sha256", secret).update(token).digest().subarray(0, sealBytes);
  return {
    seal: (token) => (token === "" ? "" : `${token}.${hashOf(token).toString("base64url")}`),
    open(text) {
      const dot = text.indexOf(".");
      if (dot <= 0) return undefined;
      const token = text.slice(0, dot);
      const given = Buffer.from(text.slice(dot + 1), "base64url");
      const sealed = given.length === sealBytes && timingSafeEqual(given, hashOf(token));
      return sealed ? token : undefined;
    },
  };
}

/** The value of the session's cookie in a `Cookie` header; `undefined` when there is none, or more than one. */
export function sessionFromCookie(header: string): string | undefined {
  let found: string | undefined;
  for (const pair of header.split(";")) {
    const at = pair.indexOf("=");
    if (at < 0 || pair.slice(0, at).trim() !== sessionCookie) continue;
    if (found !== undefined) return undefined;
    found = pair.slice(at + 1).trim();
  }
  return found;
}

/** A `Set-Cookie` that hands out `text`, or takes the cookie back when it is empty. */
export function sessionSetCookie(text: string, secure: boolean): string {
  const attributes = `Path=/; HttpOnly; SameSite=Lax${secure ? "; Secure" : ""}`;
  return text === ""
    ? `${sessionCookie}=; Max-Age=0; ${attributes}`
    : `${sessionCookie}=${text}; ${attributes}`;
}
