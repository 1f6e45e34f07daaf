/**
 * Tells the gateway what the session of an answered request knows now, when that is more than the request brought.
 */
import { type Call, callHeaders, type HeaderReading, HoldfastError } from "../call/index.ts";

/**
 * @param brought the token that came with the request, if one did
 * @returns `response`, or a copy where its headers cannot be changed
 */
export function withSession(
  response: Response,
  call: Call,
  brought: string | undefined,
  { count }: HeaderReading,
): Response {
  let token: string;
  try {
    token = call.session.encode();
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    // It knows more nodes than a header carries. What was done is done: the answer goes out without it.
    count?.(callHeaders.session);
    return response;
  }
  if (token === (brought ?? "")) return response;
  try {
    response.headers.set(callHeaders.session, token);
    return response;
  } catch {
    // A response that came from `fetch` is passed on: its headers are the other server's.
    const copy = new Response(response.body, response);
    copy.headers.set(callHeaders.session, token);
    return copy;
  }
}
