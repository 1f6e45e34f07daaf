/**
 * What the gateway does with each header field, by name.
 *
 * Fields of the connection (RFC 9110, section 7.6.1) end here in both directions. So do the system's own
 * (`holdfast-*`), and those by which proxies tell who is behind them: the gateway sets these anew.
 */
export type HeaderKind =
  | "pass"
  /** Belongs to this connection, or is ours to set. */
  | "drop"
  | "connection"
  | "host"
  | "content-length"
  | "transfer-encoding"
  | "upgrade"
  | "idempotency-key"
  /** Sealed outside, plain inside. */
  | "session"
  | "cookie"
  | "traceparent"
  | "tracestate"
  | "x-forwarded-for"
  | "x-forwarded-proto"
  | "x-forwarded-host";

const special: Readonly<Record<string, HeaderKind>> = {
  connection: "connection",
  host: "host",
  "content-length": "content-length",
  "transfer-encoding": "transfer-encoding",
  upgrade: "upgrade",
  "idempotency-key": "idempotency-key",
  "holdfast-session": "session",
  cookie: "cookie",
  traceparent: "traceparent",
  tracestate: "tracestate",
  "x-forwarded-for": "x-forwarded-for",
  "x-forwarded-proto": "x-forwarded-proto",
  "x-forwarded-host": "x-forwarded-host",
  // Decided here, by `checkContinue` and `checkExpectation`.
  expect: "drop",
  "keep-alive": "drop",
  te: "drop",
  trailer: "drop",
  "http2-settings": "drop",
  // What a stranger puts into our baggage would travel through the whole system.
  baggage: "drop",
  forwarded: "drop",
  "x-real-ip": "drop",
};

const ownPrefixes = ["holdfast-", "x-forwarded-", "proxy-"] as const;

/** Common fields, so that most names are found as they come, without making them lower case. */
const common = [
  "Accept",
  "Accept-Encoding",
  "Accept-Language",
  "Authorization",
  "Cache-Control",
  "Content-Type",
  "If-Modified-Since",
  "If-None-Match",
  "Origin",
  "Pragma",
  "Range",
  "Referer",
  "Sec-Fetch-Dest",
  "Sec-Fetch-Mode",
  "Sec-Fetch-Site",
  "User-Agent",
  "Date",
  "ETag",
  "Last-Modified",
  "Location",
  "Server",
  "Set-Cookie",
  "Vary",
];

const kinds = new Map<string, HeaderKind>();
for (const [name, kind] of Object.entries(special)) {
  kinds.set(name, kind);
  kinds.set(
    name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase()),
    kind,
  );
}
for (const name of common) kinds.set(name, "pass").set(name.toLowerCase(), "pass");

/** @param name in any case */
export function headerKind(name: string): HeaderKind {
  return kinds.get(name) ?? rareHeaderKind(name.toLowerCase());
}

function rareHeaderKind(name: string): HeaderKind {
  return kinds.get(name) ?? (ownPrefixes.some((prefix) => name.startsWith(prefix)) ? "drop" : "pass");
}

/**
 * Fields that a `Connection` header cannot take out: a message without them means something else, and a client
 * that could remove them would decide what the service believes.
 */
const protectedFields: ReadonlySet<string> = new Set([
  "authorization",
  "cache-control",
  "content-encoding",
  "content-length",
  "content-type",
  "cookie",
  "date",
  "host",
  "idempotency-key",
  "origin",
  "range",
  "set-cookie",
  "traceparent",
  "tracestate",
]);

/** The fields that `Connection` names and that therefore end here. Most connections name none: `undefined`. */
export function connectionFields(value: string): ReadonlySet<string> | undefined {
  const lower = value.toLowerCase();
  if (lower === "keep-alive" || lower === "close") return undefined;
  const named = lower
    .split(",")
    .map((token) => token.trim())
    .filter((token) => token !== "" && !protectedFields.has(token));
  return named.length > 0 ? new Set(named) : undefined;
}

/** Removes the named fields from a flat list (name, value, name, value …). */
export function withoutFields(headers: readonly string[], named: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (!named.has((headers[i] as string).toLowerCase()))
      kept.push(headers[i] as string, headers[i + 1] as string);
  }
  return kept;
}
