/**
 * Which addresses a link may lead to: the web, without credentials, and not back to the shortener itself
 * (a link to a link could go round for ever).
 */

export const urlLengthMax = 2048;

/** Where this shortener is reached, as far as the request tells. */
export interface OwnPlace {
  readonly hostname: string;
  readonly port: string;
}

export type TargetUrl =
  | { readonly ok: true; readonly url: string }
  | { readonly ok: false; readonly why: string };

/** @returns the address in normal form (punycode host, no default port), or why it is refused */
export function targetUrl(input: string, own: readonly OwnPlace[]): TargetUrl {
  if (input.length > urlLengthMax) return refused(`should have at most ${urlLengthMax} characters`);
  // The URL parser drops tabs and newlines silently, which would store something else than was shown.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u0020\u007f-\u009f]/.test(input))
    return refused("should have no spaces or control characters");
  if (!input.isWellFormed()) return refused("should be well-formed Unicode");
  let url: URL;
  try {
    url = new URL(input);
  } catch {
    return refused("should be a whole address, such as https://example.com/page");
  }
  if (url.protocol !== "http:" && url.protocol !== "https:")
    return refused("should begin with http:// or https://");
  if (url.username !== "" || url.password !== "")
    return refused("should have no user name or password in it");
  if (url.href.length > urlLengthMax)
    return refused(`should have at most ${urlLengthMax} characters when encoded`);
  if (leadsBack(url.href, own)) return refused("leads back to this shortener");
  return { ok: true, url: url.href };
}

function refused(why: string): TargetUrl {
  return { ok: false, why };
}

/**
 * The places of this shortener: what the client called it (Host, or X-Forwarded-Host when there is a proxy),
 * and the hosts that the environment names.
 */
export function ownPlaces(
  header: (name: string) => string | undefined,
  configuredHosts: string = "",
): OwnPlace[] {
  const named = [header("host"), header("x-forwarded-host"), configuredHosts];
  return named
    .flatMap((list) => (list ?? "").split(","))
    .map((host) => host.trim())
    .filter((host) => host !== "")
    .flatMap((host) => place(host) ?? []);
}

function place(host: string): OwnPlace | undefined {
  try {
    const url = new URL(`http://${host}`);
    return { hostname: plainHost(url), port: url.port };
  } catch {
    return undefined;
  }
}

/**
 * Whether following a stored address would come back to one of these places. Asked at each visit as well:
 * who made the link may have called the shortener by a name that was not its own.
 */
export function leadsBack(stored: string, own: readonly OwnPlace[]): boolean {
  const url = new URL(stored);
  return own.some((place) => leadsTo(url, place));
}

function leadsTo(url: URL, own: OwnPlace): boolean {
  const hostname = plainHost(url);
  const sameHost = hostname === own.hostname || (isThisMachine(hostname) && isThisMachine(own.hostname));
  return sameHost && (url.port === own.port || (isWebPort(url.port) && isWebPort(own.port)));
}

/** http and https of one host are one place: each may redirect to the other. */
function isWebPort(port: string): boolean {
  return port === "" || port === "80" || port === "443";
}

/** One spelling for each host: without the root's dot, and an IPv4 address inside IPv6 as what it reaches. */
function plainHost(url: URL): string {
  const hostname = url.hostname.toLowerCase().replace(/\.$/, "");
  const inside = /^\[::(?:ffff:)?([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/.exec(hostname);
  if (!inside) return hostname;
  return inside
    .slice(1)
    .map((hex) => Number.parseInt(hex, 16))
    .flatMap((word) => [word >> 8, word & 255])
    .join(".");
}

/** Names and addresses that reach the machine itself; the URL parser has already normalised odd spellings. */
function isThisMachine(hostname: string): boolean {
  return (
    hostname === "localhost" ||
    hostname.endsWith(".localhost") ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname) ||
    hostname === "0.0.0.0" ||
    hostname === "[::1]" ||
    hostname === "[::]"
  );
}
