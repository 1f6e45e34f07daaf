/** The shortener as its clients know it: real processes, through the gateway. */
import { randomUUID } from "node:crypto";
import { until } from "holdfast/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { statsOf } from "./rig/accounting.ts";
import { type Answer, browser, send } from "./rig/load-driver.ts";
import { type RunningShortener, startShortener } from "./rig/running-system.ts";

let system: RunningShortener;
beforeAll(async () => {
  system = await startShortener();
});
afterAll(() => system?.stop());

interface Made {
  readonly code: string;
  readonly url: string;
  readonly shortUrl: string;
  readonly editKey: string;
  readonly status: number;
  readonly disabled: boolean;
  readonly visits: number;
}

const json = <T = Made>(answer: Answer) => JSON.parse(answer.body) as T;
const post = (body: unknown, headers: Record<string, string> = {}) =>
  send(`${system.url}/links`, { method: "POST", body, headers });
const make = async (fields: Record<string, unknown> = {}) => {
  const answer = await post({ url: "https://example.com/page", ...fields });
  expect(answer.status, answer.body).toBe(201);
  return json(answer);
};
const bearer = (link: Made) => ({ authorization: `Bearer ${link.editKey}` });
const visit = (code: string, headers: Record<string, string> = {}) =>
  send(`${system.url}/${code}`, { headers });

test("a link is made, redirects, counts its clicks, and is drawn as a QR code", async () => {
  const link = await make();
  expect(link.code).toMatch(/^[0-9A-Za-z]{8}$/);
  expect(link.shortUrl).toBe(`${system.url}/${link.code}`);
  for (let i = 0; i < 3; i++) {
    const answer = await visit(link.code, { referer: "https://www.news.example/story?id=7" });
    expect(answer.status).toBe(302);
    expect(answer.headers.location).toBe("https://example.com/page");
    // On a busy machine the commit may take longer than a redirect waits; the count below does not care.
    expect(answer.headers["x-click"]).toMatch(/^(counted|pending)$/);
  }
  await visit(link.code, {
    "user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
  });
  const head = await send(`${system.url}/${link.code}`, { method: "HEAD" });
  expect([head.status, head.headers.location]).toEqual([302, "https://example.com/page"]);
  const stats = await until(async () => {
    const found = (await statsOf(system.url, link.code)) as unknown as Record<string, unknown>;
    return found.total === 3 && found.bots === 1 && found;
  });
  expect(stats).toMatchObject({
    perReferrer: [{ referrer: "news.example", clicks: 3 }],
    perDevice: { desktop: 3, mobile: 0, tablet: 0, other: 0 },
    uncounted: { pending: 0, dropped: 0 },
  });
  const svg = await send(`${system.url}/links/${link.code}/qr.svg`);
  expect(svg.headers["content-type"]).toBe("image/svg+xml");
  expect(svg.body).toContain("<svg");
});

test("links are counted by the host that they lead to, each once, also one that is asked for twice", async () => {
  const host = `census-${randomUUID()}.example`;
  for (let i = 0; i < 4; i++) await make({ url: `https://${host}/${i}` });
  const again = { "idempotency-key": randomUUID() };
  for (let i = 0; i < 2; i++) expect((await post({ url: `https://${host}/same` }, again)).status).toBe(201);
  const taken = await make({ url: `https://${host}/own`, code: "census-own" });
  expect((await post({ url: `https://${host}/other`, code: taken.code })).status).toBe(409);
  const count = async () => {
    const { hosts } = json<{ hosts: { host: string; links: number }[] }>(
      await send(`${system.url}/stats/hosts`),
    );
    return hosts.find((one) => one.host === host)?.links;
  };
  await until(async () => (await count()) === 6, { timeoutMs: 30_000, what: "six links to be counted" });
  expect((await send(`${system.url}/stats/hosts?limit=3`)).status).toBe(400);
});

test("a link that was acknowledged is there at once, on every instance, also for a replica that lags", async () => {
  for (let i = 0; i < 15; i++) {
    const { code } = await make();
    const answers = await Promise.all([
      visit(code),
      visit(code),
      send(`${system.url}/links/${code}`),
      send(`${system.url}/links/${code}/stats`),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([302, 302, 200, 200]);
  }
});

test("a chosen code is taken once, 301 is kept, and an unknown code is made known at once", async () => {
  const code = `own-${randomUUID().slice(0, 8)}`;
  expect((await visit(code)).status).toBe(404);
  const link = await make({ code, status: 301 });
  expect(link.code).toBe(code);
  const taken = await post({ url: "https://example.com/other", code });
  expect(taken.status).toBe(409);
  expect(json<{ error: { field: string } }>(taken).error.field).toBe("code");
  // Instances remembered that there was no such link; word of the new one reaches all of them.
  await until(async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => visit(code)));
    return answers.every(({ status }) => status === 301);
  });
});

test("only the edit key opens a link for changes, and a change reaches every instance", async () => {
  const link = await make();
  expect((await visit(link.code)).status).toBe(302);
  const address = `${system.url}/links/${link.code}`;
  const change = { method: "PATCH", body: { url: "https://example.com/new", tags: ["b", "a", "b"] } };
  expect((await send(address, change)).status).toBe(401);
  const wrong = { authorization: `Bearer ${"x".repeat(43)}` };
  expect((await send(address, { ...change, headers: wrong })).status).toBe(403);
  const changed = await send(address, { ...change, headers: bearer(link) });
  expect(json(changed)).toMatchObject({ url: "https://example.com/new", tags: ["a", "b"] });
  expect(changed.body).not.toContain("editKey");
  const everyAnswer = async (expected: (answer: Answer) => boolean) =>
    (await Promise.all(Array.from({ length: 8 }, () => visit(link.code)))).every(expected);
  await until(() => everyAnswer(({ headers }) => headers.location === "https://example.com/new"));
  const disabled = await send(address, { method: "DELETE", headers: bearer(link) });
  expect(json(disabled).disabled).toBe(true);
  await until(() => everyAnswer(({ status }) => status === 410));
  const again = await send(address, { method: "PATCH", body: { disabled: false }, headers: bearer(link) });
  expect(again.status).toBe(200);
  await until(() => everyAnswer(({ status }) => status === 302));
});

test("a loop that was made under a forged host ends at the first visit", async () => {
  const code = `loop-${randomUUID()}`;
  const forged = { host: "elsewhere.example" };
  const made = await post({ url: `${system.url}/${code}`, code }, forged);
  expect(made.status).toBe(201); // by that name it leads elsewhere
  const answer = await visit(code);
  expect([answer.status, answer.headers.location]).toEqual([410, undefined]);
  expect(answer.body).toContain("leads back");
});

test("a link ends when it expires", async () => {
  const link = await make({ expiresAt: new Date(Date.now() + 5_000).toISOString() });
  expect((await visit(link.code)).status).toBe(302);
  await until(async () => (await visit(link.code)).status === 410);
});

test("a limit of visits is exact, also for visitors who come all at once", async () => {
  const link = await make({ maxVisits: 7 });
  const answers = await Promise.all(Array.from({ length: 30 }, () => visit(link.code)));
  expect(answers.filter(({ status }) => status === 302)).toHaveLength(7);
  expect(answers.filter(({ status }) => status === 410)).toHaveLength(23);
  expect(json(await send(`${system.url}/links/${link.code}`)).visits).toBe(7);
});

test("a creation with an idempotency key happens once, however often and at once it is sent", async () => {
  const key = randomUUID();
  const body = { url: `https://example.com/once/${key}` };
  const answers = await Promise.all(Array.from({ length: 6 }, () => post(body, { "idempotency-key": key })));
  answers.push(await post(body, { "idempotency-key": key }));
  expect(answers.map(({ status }) => status)).toEqual(Array(7).fill(201));
  expect(new Set(answers.map(({ body: text }) => text)).size).toBe(1);
  const link = json(answers[0] as Answer);
  const changed = await send(`${system.url}/links/${link.code}`, {
    method: "PATCH",
    body: { tags: ["mine"] },
    headers: bearer(link),
  });
  expect(changed.status).toBe(200);
  for (const other of [{ url: "https://example.com/else" }, { ...body, code: `k-${key.slice(0, 8)}` }]) {
    expect((await post(other, { "idempotency-key": key })).status).toBe(422);
  }
  expect((await visit(`k-${key.slice(0, 8)}`)).status).toBe(404);
});

test("a creation with a key and a taken code is refused each time it is repeated", async () => {
  const { code } = await make();
  const headers = { "idempotency-key": randomUUID() };
  for (let i = 0; i < 2; i++) {
    expect((await post({ url: "https://example.com/page", code }, headers)).status).toBe(409);
  }
});

test("a listing is paged newest first over all shards, by tag, nothing twice and nothing skipped", async () => {
  const tag = `t-${randomUUID().slice(0, 8)}`;
  const made: string[] = [];
  for (let i = 0; i < 23; i++) made.push((await make({ tags: [tag] })).code);
  await make();
  const listed: string[] = [];
  let cursor: string | null = null;
  let pages = 0;
  do {
    const page: Answer = await send(
      `${system.url}/links?limit=5&tag=${tag}${cursor === null ? "" : `&cursor=${cursor}`}`,
    );
    expect(page.status).toBe(200);
    const found = json<{ links: Made[]; cursor: string | null }>(page);
    listed.push(...found.links.map((link) => link.code));
    cursor = found.cursor;
    pages++;
    // What is made meanwhile is newer than the cursor, and does not disturb it.
    if (pages === 2) await make({ tags: [tag] });
  } while (cursor !== null);
  expect(pages).toBe(5);
  expect([...listed].sort()).toEqual([...made].sort());
  const other = await send(`${system.url}/links?limit=5&tag=other-tag&cursor=AAAA`);
  expect(other.status).toBe(400);
});

test("the page and its files are served with a policy that lets nothing else in", async () => {
  const page = await send(`${system.url}/`, { headers: { "user-agent": browser } });
  expect(page.status).toBe(200);
  expect(page.headers["content-security-policy"]).toContain("default-src 'none'");
  expect(page.body).not.toMatch(/(src|href)="https?:/);
  for (const file of ["assets/page.css", "assets/page.js", "assets/icon.svg", "favicon.ico", "robots.txt"]) {
    expect((await send(`${system.url}/${file}`)).status, file).toBe(200);
  }
});

test("a browser that asks for an unknown link gets a page, a program gets JSON", async () => {
  const html = await visit("no-such-link", { accept: "text/html,application/xhtml+xml,*/*;q=0.8" });
  expect(html.status).toBe(404);
  expect(html.headers["content-type"]).toContain("text/html");
  const plain = await visit("no-such-link");
  expect(json<{ error: { code: string } }>(plain).error.code).toBe("not-found");
});
