/** The page: three files, sent as they are, with a policy that lets nothing else in. */
import { readFileSync } from "node:fs";
import type { Hono } from "hono";

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

const read = (file: string) => readFileSync(new URL(`../page/${file}`, import.meta.url), "utf8");

export function servePage(app: Hono): void {
  const send = (path: string, file: string, type: string, seconds: number) => {
    const content = read(file);
    app.get(path, (c) =>
      c.body(content, 200, {
        "content-type": type,
        "content-security-policy": policy,
        "cache-control": seconds === 0 ? "no-cache" : `public, max-age=${seconds}`,
        "referrer-policy": "no-referrer",
      }),
    );
  };
  send("/", "index.html", "text/html; charset=utf-8", 0);
  send("/assets/page.css", "page.css", "text/css; charset=utf-8", 60);
  send("/assets/page.js", "page.js", "text/javascript; charset=utf-8", 60);
  send("/assets/icon.svg", "icon.svg", "image/svg+xml", 86_400);
  send("/favicon.ico", "icon.svg", "image/svg+xml", 86_400);
  app.get("/robots.txt", (c) => c.text("User-agent: *\nDisallow: /links\n"));
}
