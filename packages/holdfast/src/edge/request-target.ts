/**
 * What a request is for: the rules for the target and the host, strict where two readers could disagree.
 *
 * The target is sent on as it came. Routes are matched on its decoded path, so that spelling a letter as %61
 * leads nowhere else. Dot segments are refused in every spelling, since whoever sends them hopes that somebody
 * behind us resolves them.
 *
 * @see RFC 9112, section 3.2; RFC 3986, section 3.2.2
 */
import { type Refusal, refusal } from "./refusal.ts";

export interface RequestTarget {
  /** Origin form, to send on: path and query as they came. */
  readonly target: string;
  /** The path alone, decoded except for %2F, to match routes with. */
  readonly path: string;
}

const refused = {
  length: refusal(414, "url-too-long", "The URL is too long. Put long values into the body."),
  form: refusal(400, "bad-target", "The request's target should be a path that begins with a slash."),
  fragment: refusal(400, "bad-target", "The request's target has a fragment (#). Leave it out, or send %23."),
  character: refusal(400, "bad-target", "The URL has a character that should be percent-encoded."),
  backslash: refusal(400, "bad-target", "The path has a backslash. Use slashes."),
  encoding: refusal(400, "bad-encoding", "The path's percent-encoding is not valid UTF-8. Encode it again."),
  control: refusal(400, "bad-encoding", "The URL encodes a control character. Leave it out."),
  dots: refusal(400, "bad-target", "The path has a . or .. segment. Send the path it leads to."),
  authority: refusal(400, "bad-target", "The target names another host than the Host header."),
} as const;

/** Letters, digits and harmless signs; no dot after a slash is checked beside it. Most targets are like this. */
const plain = /^\/[A-Za-z0-9\-._~!$&'()*+,;=:@/?]*$/;
const visible = /^[\x21-\x7e]*$/;
const brokenEscape = /%(?![0-9A-Fa-f]{2})/;
/** In a query only NUL is refused: nothing legitimate holds one, and databases choke on it. */
const encodedNul = /%00/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const controlCharacter = /[\x00-\x1f\x7f]/;
const dotSegment = /(?:^|\/)\.\.?(?:\/|$)/;

/** @param host the checked Host header */
export function readTarget(url: string, host: string, charsMax: number): RequestTarget | Refusal {
  if (url.length > charsMax) return refused.length;
  if (plain.test(url) && !url.includes("/.")) {
    const query = url.indexOf("?");
    return { target: url, path: query < 0 ? url : url.slice(0, query) };
  }
  // About the server as a whole; whether the method may ask that is the caller's to say.
  if (url === "*") return { target: url, path: url };
  if (url.includes("#")) return refused.fragment;
  if (!visible.test(url)) return refused.character;
  const target = url.startsWith("/") ? url : originForm(url, host);
  return typeof target === "string" ? readPath(target) : target;
}

function readPath(target: string): RequestTarget | Refusal {
  const query = target.indexOf("?");
  const raw = query < 0 ? target : target.slice(0, query);
  if (query >= 0 && encodedNul.test(target.slice(query))) return refused.control;
  if (raw.includes("\\")) return refused.backslash;
  if (brokenEscape.test(raw)) return refused.encoding;
  let path: string;
  try {
    // An encoded slash belongs to its segment: it stays encoded.
    path = raw.includes("%") ? decodeURIComponent(raw.replace(/%2f/gi, "%252F")) : raw;
  } catch {
    return refused.encoding;
  }
  if (controlCharacter.test(path)) return refused.control;
  if (path.includes("\\")) return refused.backslash;
  // A decoded %2F may hide a dot segment from us that somebody behind us sees.
  if (dotSegment.test(path.replaceAll("%2F", "/"))) return refused.dots;
  return { target, path };
}

/** Absolute form, as clients send it to proxies: taken when it names the same host as the Host header. */
function originForm(url: string, host: string): string | Refusal {
  const match = /^http:\/\/([^/?]*)(.*)$/i.exec(url);
  if (!match) return refused.form;
  const [, authority, rest] = match as unknown as [string, string, string];
  if (withoutDefaultPort(authority) !== withoutDefaultPort(host)) return refused.authority;
  return rest.startsWith("/") ? rest : `/${rest}`;
}

function withoutDefaultPort(authority: string): string {
  return authority.toLowerCase().replace(/:80$/, "");
}

const hostLayout = /^(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?$/;

/** One name or address with an optional port: no user, no path, no list. */
export function isHost(host: string): boolean {
  const match = host.length <= 261 ? hostLayout.exec(host) : null;
  return match !== null && (match[1] === undefined || Number(match[1]) <= 65_535);
}
