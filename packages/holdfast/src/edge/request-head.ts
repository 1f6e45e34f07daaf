/**
 * The head of a request, read once: refused when two readers could understand it differently, and turned into
 * what is sent on. This is where request smuggling ends: framing is decided here, and stated anew for the
 * instance.
 *
 * @see RFC 9112, section 6; RFC 9110, sections 7.2 and 7.6.1
 */
import type { IncomingMessage } from "node:http";
import { decodeIdempotencyKey, idempotencyKeyCharsMax } from "../call/idempotency-key.ts";
import type { GatewayLimits } from "./gateway-options.ts";
import { connectionFields, headerKind, withoutFields } from "./header-kinds.ts";
import { type Refusal, refusal } from "./refusal.ts";
import { isHost, readTarget } from "./request-target.ts";

export interface RequestHead {
  readonly method: string;
  /** Path and query to send on. */
  readonly target: string;
  /** Decoded path, to match routes with. */
  readonly path: string;
  readonly host: string;
  /** Bytes of the body; 0 for none, -1 when only its end will tell. */
  readonly bodyBytes: number;
  /** Fields to send on, flat: name, value, name, value … Ends of the connection and our own are gone. */
  readonly headers: string[];
  readonly idempotencyKey: string | undefined;
  /** What came as the session's header, as it came. */
  readonly session: string | undefined;
  /** The `Cookie` field, which is also sent on. */
  readonly cookie: string | undefined;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  /** From outside; believed only of trusted proxies. */
  readonly forwardedFor: string | undefined;
  readonly forwardedProto: string | undefined;
  readonly forwardedHost: string | undefined;
  /** An upgrade that is ignored; the connection is closed after the answer, since the client may have gone on. */
  readonly ignoredUpgrade: boolean;
}

const methods: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
export const allowedMethods = [...methods].join(", ");

const bad = (code: string, message: string): Refusal => refusal(400, code, message);
const refused = {
  version: bad("bad-version", "This is neither HTTP/1.1 nor HTTP/1.0."),
  method: refusal(405, "method-not-allowed", `The method should be one of ${allowedMethods}.`, {
    headers: ["allow", allowedMethods],
  }),
  headerCount: refusal(431, "too-many-headers", "The request has too many header fields. Send fewer."),
  hostMissing: bad("bad-host", "The Host header is missing."),
  hostTwice: bad("bad-host", "There is more than one Host header. Send one."),
  host: bad("bad-host", "The Host header should be one name or address, with an optional port."),
  length: bad("bad-content-length", "Content-Length should be one plain whole number."),
  asterisk: bad("bad-target", "Only OPTIONS may ask about the server as a whole (*)."),
  lengthAndEncoding: bad(
    "bad-framing",
    "The body's end is given twice: send Content-Length or Transfer-Encoding.",
  ),
  encoding: bad("bad-transfer-encoding", "The only transfer encoding that is understood is chunked."),
  encodingVersion: bad("bad-transfer-encoding", "HTTP/1.0 has no transfer encodings. Send Content-Length."),
  upgrade: bad("upgrade-refused", "Upgrading the connection, to WebSocket or else, is not supported here."),
  key: bad(
    "bad-idempotency-key",
    `Idempotency-Key should be one value of 1 to ${idempotencyKeyCharsMax} visible ASCII characters.`,
  ),
  body: refusal(413, "body-too-large", "The body is larger than the gateway takes. Send it in parts."),
} as const;

const wholeNumber = /^(?:0|[1-9][0-9]{0,14})$/;

export function readRequestHead(incoming: IncomingMessage, limits: GatewayLimits): RequestHead | Refusal {
  const { rawHeaders } = incoming;
  const method = incoming.method as string;
  const http10 = incoming.httpVersionMinor === 0;
  if (incoming.httpVersionMajor !== 1 || incoming.httpVersionMinor > 1) return refused.version;
  if (!methods.has(method)) return refused.method;
  if (rawHeaders.length > limits.headerCount * 2) return refused.headerCount;

  let headers: string[] = [];
  let host: string | undefined;
  let length: string | undefined;
  let encoding: string | undefined;
  let connection: string | undefined;
  let upgrade: string | undefined;
  let idempotencyKey: string | undefined;
  let session: string | undefined;
  let sessions = 0;
  let cookie: string | undefined;
  let traceparent: string | undefined;
  let traceparents = 0;
  let tracestate: string | undefined;
  let forwardedFor: string | undefined;
  let forwardedProto: string | undefined;
  let forwardedHost: string | undefined;

  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    const value = rawHeaders[i + 1] as string;
    switch (headerKind(name)) {
      case "pass":
        headers.push(name, value);
        break;
      case "host":
        if (host !== undefined) return refused.hostTwice;
        host = value;
        break;
      case "connection":
        connection = join(connection, value);
        break;
      case "content-length":
        if (length !== undefined) return refused.length;
        length = value;
        break;
      case "transfer-encoding":
        encoding = join(encoding, value);
        break;
      case "upgrade":
        upgrade = join(upgrade, value);
        break;
      case "idempotency-key":
        if (idempotencyKey !== undefined) return refused.key;
        idempotencyKey = value;
        break;
      case "session":
        session = value;
        sessions++;
        break;
      case "cookie":
        cookie = cookie === undefined ? value : `${cookie}; ${value}`;
        headers.push(name, value);
        break;
      case "traceparent":
        traceparent = value;
        traceparents++;
        break;
      case "tracestate":
        tracestate = join(tracestate, value);
        break;
      case "x-forwarded-for":
        forwardedFor = join(forwardedFor, value);
        break;
      case "x-forwarded-proto":
        forwardedProto = value;
        break;
      case "x-forwarded-host":
        forwardedHost = value;
        break;
      case "drop":
        break;
    }
  }

  if (host === undefined) return refused.hostMissing;
  if (!isHost(host)) return refused.host;
  const target = readTarget(incoming.url as string, host, limits.urlChars);
  if ("status" in target) return target;
  if (target.target === "*" && method !== "OPTIONS") return refused.asterisk;

  let bodyBytes = 0;
  if (encoding !== undefined) {
    if (http10) return refused.encodingVersion;
    if (length !== undefined) return refused.lengthAndEncoding;
    if (encoding.toLowerCase() !== "chunked") return refused.encoding;
    bodyBytes = -1;
  } else if (length !== undefined) {
    if (!wholeNumber.test(length)) return refused.length;
    bodyBytes = Number(length);
    if (bodyBytes > limits.bodyBytes) return refused.body;
  }

  if (upgrade !== undefined && !/^[\s,]*h2c?[\s,]*$/i.test(upgrade)) return refused.upgrade;
  if (idempotencyKey !== undefined && decodeIdempotencyKey(idempotencyKey) === undefined) return refused.key;
  if (connection !== undefined) {
    const named = connectionFields(connection);
    // Before anything of ours is added, so that a client cannot name what we add.
    if (named) headers = withoutFields(headers, named);
  }
  if (idempotencyKey !== undefined) headers.push("idempotency-key", idempotencyKey);
  headers.push("host", host);
  if (length !== undefined) headers.push("content-length", length);

  return {
    method,
    target: target.target,
    path: target.path,
    host,
    bodyBytes,
    headers,
    idempotencyKey,
    // Two of them is none.
    session: sessions === 1 ? session : undefined,
    cookie,
    traceparent: traceparents === 1 ? traceparent : undefined,
    tracestate,
    forwardedFor,
    forwardedProto,
    forwardedHost,
    ignoredUpgrade: upgrade !== undefined,
  };
}

function join(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before},${value}`;
}
