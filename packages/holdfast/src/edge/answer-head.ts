/** The head of an instance's answer, as the client gets it: without the connection's fields and our own. */
import { connectionFields, headerKind, withoutFields } from "./header-kinds.ts";

export interface AnswerHead {
  /** Flat: name, value, name, value … */
  readonly headers: string[];
  /** Bytes that the answer says its body has; -1 when it does not say. */
  readonly bodyBytes: number;
  /** What the session knows now, when that is more than before; empty when it knows nothing any more. */
  readonly session: string | undefined;
}

/** @param parsed names in lower case, repeated fields as arrays, as undici hands them over */
export function readAnswerHead(parsed: Readonly<Record<string, string | string[] | undefined>>): AnswerHead {
  let headers: string[] = [];
  let bodyBytes = -1;
  let session: string | undefined;
  let named: ReadonlySet<string> | undefined;
  for (const name in parsed) {
    const value = parsed[name];
    if (value === undefined) continue;
    const kind = headerKind(name);
    if (kind === "pass" || kind === "cookie") {
      if (typeof value === "string") headers.push(name, value);
      else for (const one of value) headers.push(name, one);
    } else if (kind === "content-length") {
      bodyBytes = Number(value);
      headers.push(name, value as string);
    } else if (kind === "session") {
      session = typeof value === "string" ? value : undefined;
    } else if (kind === "connection") {
      named = connectionFields(typeof value === "string" ? value : value.join(","));
    }
  }
  if (named) headers = withoutFields(headers, named);
  return { headers, bodyBytes, session };
}
