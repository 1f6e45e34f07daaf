/**
 * What Node's HTTP parser will not take never becomes a request: the answer is written to the bare socket.
 */
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { type Refusal, refusal, refusalBody } from "./refusal.ts";

/** For `server.on("clientError")`. */
export function refuseUnparsed(error: Error & { code?: string }, socket: Duplex): void {
  if (error.code === "ECONNRESET" || !socket.writable || isAnswered(socket)) {
    socket.destroy(error);
    return;
  }
  endWithRefusal(socket, refusalOfParserError(error.code));
}

/** What node:http hangs on a connection: the answer being written, and the request being read. */
interface HttpConnection extends Duplex {
  readonly _httpMessage?: { readonly _headerSent?: boolean } | null;
  readonly parser?: { readonly incoming?: { readonly complete: boolean } | null } | null;
}

/**
 * Whether bytes of ours would land in an answer that has begun, or behind one that is complete: a client that
 * was answered before its body had all arrived would take them for the answer to its next request.
 */
function isAnswered(socket: HttpConnection): boolean {
  const current = socket._httpMessage;
  if (current) return current._headerSent === true;
  return socket.parser?.incoming?.complete === false;
}

/** Answers on a socket that has no response object, and closes it. */
export function endWithRefusal(socket: Duplex, refused: Refusal): void {
  const body = refusalBody(refused);
  const headers = [
    `HTTP/1.1 ${refused.status} ${STATUS_CODES[refused.status]}`,
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
  ];
  socket.end(`${headers.join("\r\n")}\r\n\r\n${body}`);
}

function refusalOfParserError(code: string | undefined): Refusal {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return refusal(
        431,
        "headers-too-large",
        "The request's headers are too large. Send fewer or shorter ones.",
      );
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return refusal(
        413,
        "chunk-extensions-too-large",
        "The chunk extensions are too large. Leave them out.",
      );
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return refusal(408, "request-timeout", "The request did not arrive in time. Send it again, faster.");
    default:
      return refusal(400, "malformed-request", "This is not a well-formed HTTP/1.1 request.");
  }
}
