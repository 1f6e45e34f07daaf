/**
 * The API and the redirects. The web framework is Hono; anything with a `fetch` would do.
 */
import { currentWorld } from "holdfast";
import { type Context, Hono } from "hono";
import QRCode from "qrcode";
import { drainClicks, recordClick, requestId, uncounted } from "./clicks/record-click.ts";
import { topHosts } from "./hosts/top-hosts.ts";
import { body } from "./http/body.ts";
import { servePage } from "./http/page.ts";
import { answerProblem, notFound, Problem, problemOf } from "./http/problem.ts";
import { listQuery, noQuery } from "./http/query.ts";
import { shortUrl } from "./http/short-url.ts";
import { changeLink } from "./links/change-link.ts";
import { isCode, isReserved } from "./links/code.ts";
import { createLink } from "./links/create-link.ts";
import { LinkChange, type LinkView, NewLink } from "./links/link.ts";
import { linkStats } from "./links/link-stats.ts";
import { listLinks } from "./links/list-links.ts";
import { isLoop } from "./links/loop.ts";
import { hotLink, readLink } from "./links/read-link.ts";
import { takeVisit } from "./links/take-visit.ts";
import { ownPlaces, targetUrl } from "./links/target-url.ts";

const app = new Hono();

servePage(app);

app.post("/links", async (c) => {
  const input = await body(c, NewLink);
  const url = checkedTarget(c, input.url);
  if (input.expiresAt !== undefined && Date.parse(input.expiresAt) <= currentWorld().clock.wallMs()) {
    throw new Problem(400, "invalid", "expiresAt should be in the future.", "expiresAt");
  }
  const { link, editKey } = await createLink({ ...input, url }, idempotencyKey(c));
  return c.json({ ...shown(c, link), editKey }, 201, {
    location: `/links/${link.code}`,
    "cache-control": "no-store",
  });
});

app.get("/links", async (c) => {
  const { limit, tag, after } = listQuery(c);
  const page = await listLinks(limit, tag, after);
  return c.json({ links: page.links.map((link) => shown(c, link)), cursor: page.cursor });
});

app.get("/links/:code", async (c) => {
  const link = await readLink(knownShape(c));
  if (!link) throw notFound();
  return c.json(shown(c, link));
});

app.patch("/links/:code", async (c) => {
  const code = knownShape(c);
  const change = await body(c, LinkChange);
  const target = change.url === undefined ? {} : { url: checkedTarget(c, change.url) };
  return c.json(shown(c, await changeLink(code, editKey(c), { ...change, ...target })));
});

app.delete("/links/:code", async (c) =>
  c.json(shown(c, await changeLink(knownShape(c), editKey(c), { disabled: true }))),
);

app.get("/links/:code/stats", async (c) => {
  const code = knownShape(c);
  const stats = await linkStats(code);
  if (!stats) throw notFound();
  return c.json({ code, ...stats, uncounted: uncounted() }, 200, { "cache-control": "no-store" });
});

app.get("/links/:code/qr.svg", async (c) => {
  const code = knownShape(c);
  if (!(await hotLink(code))) throw notFound();
  const svg = await QRCode.toString(shortUrl(c, code), { type: "svg", margin: 2 });
  return c.body(svg, 200, { "content-type": "image/svg+xml", "cache-control": "public, max-age=3600" });
});

app.get("/stats/hosts", async (c) => {
  noQuery(c);
  return c.json({ hosts: await topHosts() }, 200, { "cache-control": "no-store" });
});

app.get("/:code", async (c) => {
  const code = knownShape(c);
  const link = await hotLink(code);
  if (!link) throw notFound();
  if (link.disabled) throw gone("This link was disabled.");
  if (link.expiresAtMs !== null && link.expiresAtMs <= currentWorld().clock.wallMs()) {
    throw gone("This link has expired.");
  }
  if (isLoop(link, (name) => c.req.header(name), ownHosts())) {
    throw gone("This link leads back to the shortener itself.");
  }
  // A HEAD tells the target as well, so it takes a visit too; it is no click.
  if (link.limited && !(await takeVisit(code, requestId()))) {
    throw gone("This link has been visited as often as it may be.");
  }
  const headers: Record<string, string> = {
    location: link.url,
    "cache-control": "no-store",
    "content-length": "0",
  };
  if (c.req.method === "GET") headers["x-click"] = await recordClick(code, (name) => c.req.header(name));
  return new Response(null, { status: link.status, headers });
});

// Whatever is left has a path that is known with another method, or none that is known.
for (const [path, methods] of [
  ["/links", "GET, HEAD, POST"],
  ["/links/:code", "GET, HEAD, PATCH, DELETE"],
  ["/links/:code/stats", "GET, HEAD"],
  ["/links/:code/qr.svg", "GET, HEAD"],
  ["/stats/hosts", "GET, HEAD"],
  ["/", "GET, HEAD"],
  ["/:code", "GET, HEAD"],
] as const) {
  app.all(path, (c) => {
    c.header("allow", methods);
    throw new Problem(405, "method-not-allowed", `Use one of ${methods} here.`);
  });
}

app.notFound((c) => answerProblem(c, new Problem(404, "not-found", "There is nothing at this address.")));

app.onError((error, c) => {
  const problem = problemOf(error, c.req.method);
  if (problem.status === 500) console.error(error);
  return answerProblem(c, problem);
});

function knownShape(c: Context): string {
  const code = c.req.param("code") ?? "";
  if (!isCode(code) || isReserved(code)) throw notFound();
  return code;
}

function checkedTarget(c: Context, url: string): string {
  const own = ownPlaces((name) => c.req.header(name), ownHosts());
  const target = targetUrl(url, own);
  if (!target.ok) throw new Problem(400, "invalid", `url ${target.why}.`, "url");
  return target.url;
}

function ownHosts(): string | undefined {
  return process.env.SHORTENER_HOSTS;
}

function idempotencyKey(c: Context): string | undefined {
  const key = c.req.header("idempotency-key");
  if (key !== undefined && !/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw new Problem(
      400,
      "invalid",
      "idempotency-key should have 1 to 255 visible ASCII characters, such as a UUID.",
      "idempotency-key",
    );
  }
  return key;
}

function editKey(c: Context): string | undefined {
  return /^Bearer +([A-Za-z0-9_-]{16,128})$/i.exec(c.req.header("authorization") ?? "")?.[1];
}

function gone(message: string): Problem {
  return new Problem(410, "gone", message);
}

function shown(c: Context, link: LinkView): LinkView & { readonly shortUrl: string } {
  return { ...link, shortUrl: shortUrl(c, link.code) };
}

export default { fetch: app.fetch, drain: drainClicks };
