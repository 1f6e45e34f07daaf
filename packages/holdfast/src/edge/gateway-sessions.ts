/**
 * What a gateway does with sessions: takes a client's token when it was sealed here, passes it on inside, and hands
 * the client the sealed one that comes back.
 */
import type { RequestHead } from "./request-head.ts";
import {
  type GatewaySessionOptions,
  sessionFromCookie,
  sessionHeader,
  sessionSeal,
  sessionSetCookie,
} from "./session-seal.ts";

export interface GatewaySessions {
  /** Adds the client's token to the fields to send on, if it has one that was sealed here. */
  take(head: RequestHead): void;
  /**
   * Adds what the client is handed to the fields of an answer.
   *
   * @param token what the instance said; empty when there is nothing to carry any more
   */
  give(token: string, headers: string[], secure: boolean): void;
  /** Tokens that were not sealed here, and therefore ignored. */
  readonly ignored: number;
}

export function gatewaySessions({ secret, cookie = false }: GatewaySessionOptions): GatewaySessions {
  const seal = sessionSeal(secret);
  let ignored = 0;
  return {
    take(head) {
      const carried = head.session ?? (cookie && head.cookie ? sessionFromCookie(head.cookie) : undefined);
      if (!carried) return;
      const token = seal.open(carried);
      if (token === undefined) ignored++;
      else head.headers.push(sessionHeader, token);
    },
    give(token, headers, secure) {
      const text = seal.seal(token);
      headers.push(sessionHeader, text);
      if (cookie) headers.push("set-cookie", sessionSetCookie(text, secure));
    },
    get ignored() {
      return ignored;
    },
  };
}
