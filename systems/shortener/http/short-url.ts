/** The address that a link has for whoever asked: the host they used, also through a proxy. */
import type { Context } from "hono";

export function shortUrl(c: Context, code: string): string {
  const host = firstOf(c.req.header("x-forwarded-host")) ?? c.req.header("host") ?? "localhost";
  const scheme = firstOf(c.req.header("x-forwarded-proto")) === "https" ? "https" : "http";
  try {
    return new URL(`/${code}`, `${scheme}://${host}`).href;
  } catch {
    return `/${code}`;
  }
}

function firstOf(list: string | undefined): string | undefined {
  return list?.split(",")[0]?.trim() || undefined;
}
