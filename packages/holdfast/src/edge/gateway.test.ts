/** The gateway in front of real HTTP servers: what is sent on, what comes back, and what is tried again. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import http, { type IncomingMessage } from "node:http";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { type OperationEnd, Seam } from "../call/index.ts";
import { systemClock } from "../clock/index.ts";
import { parseAnswer, sendRaw } from "./fixtures/raw-http.ts";
import { deadPort, echo, type Handler, type Upstream, until, upstream } from "./fixtures/upstream.ts";
import { startGateway } from "./gateway.ts";
import type { GatewayStartOptions, RunningGateway } from "./gateway-options.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const seam = new Seam(systemClock);

async function instanceOf(id: string, handler: Handler, port = 0): Promise<Upstream> {
  const one = await upstream(id, handler, port);
  open.push(one);
  return one;
}

async function gatewayTo(
  endpoints: readonly { id: string; host: string; port: number }[],
  options: Partial<GatewayStartOptions> = {},
): Promise<RunningGateway & { url: string; port: number }> {
  const gateway = await startGateway({
    listen: { host: "127.0.0.1", port: 0 },
    routes: [{ path: "/", service: "api" }],
    clock: systemClock,
    seam,
    ...options,
  });
  open.push(gateway);
  gateway.setEndpoints("api", endpoints);
  const { port } = gateway.address;
  return Object.assign(gateway, { url: `http://127.0.0.1:${port}`, port });
}

interface Echoed {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
}
const echoed = async (response: Response) => (await response.json()) as Echoed;

async function instanceProcess(id: string) {
  const file = fileURLToPath(new URL("./fixtures/instance-process.ts", import.meta.url));
  const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "inherit"] });
  open.push({ close: async () => void child.kill("SIGKILL") });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { id, host: "127.0.0.1", port: Number(line.toString()), child };
}

const refuses: Handler = (_request, response) => {
  response.writeHead(503, { "holdfast-outcome": "not-applied", "retry-after": "1" });
  response.end('{"error":{"code":"overloaded","message":"Full."}}');
};
/** Takes the request whole, then dies without a word: nobody knows whether it was applied. */
const breaksOff: Handler = (request) => {
  request.resume();
  request.on("end", () => request.socket.destroy());
};

/** An instance that breaks off when it is told to, so that a test can first change what the gateway finds next. */
function breaksOffOnCommand() {
  let command = () => {};
  const told = new Promise<void>((resolve) => {
    command = resolve;
  });
  const handler: Handler = (request) => {
    request.resume();
    request.on("end", () => told.then(() => request.socket.destroy()));
  };
  return { handler, breakOff: () => command() };
}

test("a request reaches the instance with its method, target, body and host, and a call of its own", async () => {
  const instance = await instanceOf("a", echo);
  const gateway = await gatewayTo([instance]);
  const response = await fetch(`${gateway.url}/links?x=%20y`, {
    method: "POST",
    body: '{"a":1}',
    headers: { "content-type": "application/json", "idempotency-key": "k-1", cookie: "c=1" },
  });
  expect(response.status).toBe(200);
  const { method, url, headers, body } = await echoed(response);
  expect({ method, url, body }).toEqual({ method: "POST", url: "/links?x=%20y", body: '{"a":1}' });
  expect(headers).toMatchObject({
    host: `127.0.0.1:${gateway.port}`,
    "content-type": "application/json",
    "content-length": "7",
    "idempotency-key": "k-1",
    cookie: "c=1",
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-proto": "http",
    "x-forwarded-host": `127.0.0.1:${gateway.port}`,
    traceparent: expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]$/),
    "holdfast-request-id": expect.stringMatching(
      /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    ),
  });
  expect(Number(headers["holdfast-deadline"])).toBeGreaterThan(10_000);
  expect(headers["holdfast-attempt"]).toBeUndefined();
});

test("a stranger sets none of the system's headers, and hears none of them", async () => {
  const instance = await instanceOf("a", (request, response) => {
    response.setHeader("holdfast-outcome", "not-applied");
    response.setHeader("holdfast-session", "secret");
    response.setHeader("x-hop", "1");
    response.setHeader("connection", "x-hop");
    echo(request, response);
  });
  const gateway = await gatewayTo([instance]);
  const bytes = [
    "GET / HTTP/1.1",
    "Host: a.test",
    "Holdfast-Attempt: 7",
    "holdfast-request-id: mine",
    "HOLDFAST-SESSION: forged",
    "holdfast-principal: root",
    "Baggage: a=1",
    "X-Forwarded-For: 6.6.6.6",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Prefix: /evil",
    "Forwarded: for=6.6.6.6",
    "X-Real-IP: 6.6.6.6",
    "Proxy-Authorization: Basic x",
    "TE: trailers",
    "Keep-Alive: timeout=5",
    "X-Custom: kept",
    "X-Named: gone",
    "Cookie: kept=1",
    // Naming protected fields, and those that the gateway adds, takes none of them out.
    "Connection: close, X-Named, Host, Cookie, X-Forwarded-For, Traceparent, Holdfast-Request-Id",
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate: vendor=1",
  ].join("\r\n");
  const answer = await sendRaw(gateway.port, `${bytes}\r\n\r\n`);
  const { headers } = JSON.parse(answer.body) as Echoed;
  expect(headers).toMatchObject({
    host: "a.test",
    "x-custom": "kept",
    cookie: "kept=1",
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-proto": "http",
    "x-forwarded-host": "a.test",
    tracestate: "vendor=1",
  });
  expect(headers.traceparent).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)/);
  expect(headers["holdfast-request-id"]).not.toBe("mine");
  const never = "holdfast-attempt holdfast-session holdfast-principal baggage forwarded x-real-ip te";
  for (const name of [...never.split(" "), "x-forwarded-prefix", "proxy-authorization", "x-named"]) {
    expect(headers).not.toHaveProperty(name);
  }
  for (const name of ["holdfast-outcome", "holdfast-session", "x-hop"]) {
    expect(answer.headers.has(name)).toBe(false);
  }
});

test("a trusted proxy's X-Forwarded-* is continued", async () => {
  const instance = await instanceOf("a", echo);
  const gateway = await gatewayTo([instance], { trustedProxies: ["127.0.0.0/8"] });
  const { headers } = await echoed(
    await fetch(gateway.url, {
      headers: {
        "x-forwarded-for": "1.2.3.4",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "shop.test",
      },
    }),
  );
  expect(headers).toMatchObject({
    "x-forwarded-for": "1.2.3.4, 127.0.0.1",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "shop.test",
  });
});

test("the longest route decides, and what no route takes is a 404, as is the system's own corner", async () => {
  const [web, api] = [await instanceOf("web", echo), await instanceOf("api", echo)];
  const gateway = await gatewayTo([], {
    routes: [
      { path: "/web", service: "web" },
      { path: "/web/api/", service: "api" },
    ],
  });
  gateway.setEndpoints("web", [web]);
  gateway.setEndpoints("api", [api]);
  const statuses: Record<string, number> = {};
  const paths = [
    "/web",
    "/web/a",
    "/web/api",
    "/web/api/b",
    "/web/%61pi/c",
    "/web/apix",
    "/webx",
    "/",
    "/.holdfast/health",
  ];
  for (const path of paths) statuses[path] = (await fetch(gateway.url + path)).status;
  expect(statuses).toEqual({
    "/web": 200,
    "/web/a": 200,
    "/web/api": 200,
    "/web/api/b": 200,
    "/web/%61pi/c": 200,
    "/web/apix": 200,
    "/webx": 404,
    "/": 404,
    "/.holdfast/health": 404,
  });
  expect(api.seen.map(({ url }) => url)).toEqual(["/web/api", "/web/api/b", "/web/%61pi/c"]);
  expect(web.seen.map(({ url }) => url)).toEqual(["/web", "/web/a", "/web/apix"]);
});

test.each(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])(
  "%s without a body",
  async (method) => {
    const instance = await instanceOf("a", echo);
    const gateway = await gatewayTo([instance]);
    const response = await fetch(gateway.url, { method });
    expect(response.status).toBe(200);
    if (method !== "HEAD") expect(await echoed(response)).toMatchObject({ method, body: "" });
  },
);

test.each([
  ["GET", 5],
  ["POST", 5],
  ["POST", 300_000],
  ["PUT", 64 << 10],
  ["DELETE", 5],
])("%s with a body of %d bytes, sized and chunked", async (method, bytes) => {
  const instance = await instanceOf("a", echo);
  const gateway = await gatewayTo([instance]);
  const body = "x".repeat(bytes);
  for (const framing of [{ "content-length": bytes }, { "transfer-encoding": "chunked" }]) {
    const request = http.request(gateway.url, { method, headers: { ...framing } });
    request.end(body);
    const [response] = (await once(request, "response")) as [IncomingMessage];
    let text = "";
    for await (const chunk of response) text += chunk;
    expect((JSON.parse(text) as Echoed).body.length).toBe(bytes);
  }
});

test("answers pass with status, repeated fields and body; an empty one has none", async () => {
  const instance = await instanceOf("a", (request, response) => {
    if (request.url === "/empty") response.writeHead(304, { etag: '"1"' }).end();
    else response.writeHead(418, ["set-cookie", "a=1", "set-cookie", "b=2", "x-t", "\u00e9"]).end("short");
  });
  const gateway = await gatewayTo([instance]);
  const teapot = await fetch(gateway.url);
  expect(teapot.status).toBe(418);
  expect(teapot.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
  expect(teapot.headers.get("x-t")).toBe("\u00e9");
  expect(await teapot.text()).toBe("short");
  const empty = await fetch(`${gateway.url}/empty`);
  expect([empty.status, empty.headers.get("etag"), await empty.text()]).toEqual([304, '"1"', ""]);
});

test("a body of any bytes comes through unchanged", async () => {
  const bytes = Buffer.from(Array.from({ length: 4096 }, (_, i) => i & 0xff));
  const instance = await instanceOf("a", (_request, response) => {
    response.writeHead(200, { "content-length": bytes.length }).end(bytes);
  });
  const gateway = await gatewayTo([instance]);
  expect(Buffer.from(await (await fetch(gateway.url)).arrayBuffer())).toEqual(bytes);
});

test("a pipelining client gets its answers in order", async () => {
  const instance = await instanceOf("a", echo);
  const gateway = await gatewayTo([instance]);
  const head = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: a.test\r\n${more}\r\n`;
  const socket = net.connect(gateway.port, "127.0.0.1");
  socket.write(head("/1") + head("/2") + head("/3", "Connection: close\r\n"));
  let text = "";
  for await (const chunk of socket) text += chunk;
  expect([...text.matchAll(/"url":"(\/\d)"/g)].map(([, url]) => url)).toEqual(["/1", "/2", "/3"]);
});

test("an event stream passes event by event, and may outlast the deadline", async () => {
  let stream: http.ServerResponse | undefined;
  const instance = await instanceOf("a", (_request, response) => {
    stream = response;
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
  });
  const gateway = await gatewayTo([instance], { timeoutMs: 1_500 });
  // Resolves on the head alone: nothing has been sent behind it.
  const response = await fetch(gateway.url);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const startMs = performance.now();
  stream?.write("data: 1\n\n");
  expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toBe("data: 1\n\n");
  await until("the deadline to be long past", () => performance.now() - startMs > 2_000);
  stream?.end("data: 2\n\n");
  expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toBe("data: 2\n\n");
  expect((await reader.read()).done).toBe(true);
});

test("an instance that does not answer in time is a 504, and is told", async () => {
  let cut = false;
  const instance = await instanceOf("a", (request) => {
    request.socket.on("close", () => {
      cut = true;
    });
  });
  const gateway = await gatewayTo([instance], { timeoutMs: 1_000 });
  const response = await fetch(gateway.url);
  expect(response.status).toBe(504);
  expect(await response.json()).toMatchObject({ error: { code: "deadline" } });
  await until("the instance's connection to be cut", () => cut);
  expect(gateway.stats().inFlight).toBe(0);
});

test("no instance at all is a 503 that says when to come back", async () => {
  const gateway = await gatewayTo([]);
  const response = await fetch(gateway.url);
  expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
});

// What is tried again.

test.each([
  ["GET", {}, 200],
  ["HEAD", {}, 200],
  ["PUT", {}, 200],
  ["DELETE", {}, 200],
  ["POST", { "idempotency-key": "k" }, 200],
  ["POST", {}, 502],
  ["PATCH", {}, 502],
])("when the instance breaks off, %s %o ends as %d", async (method, headers, status) => {
  const { handler, breakOff } = breaksOffOnCommand();
  const bad = await instanceOf("bad", handler);
  const good = await instanceOf("good", echo);
  const gateway = await gatewayTo([bad], { healthMs: 60_000 });
  // The first request finds only the bad one; the second finds both.
  const body = method === "GET" || method === "HEAD" ? null : "x".repeat(100);
  const request = fetch(gateway.url, { method, headers: headers as Record<string, string>, body });
  await until("the first attempt", () => bad.seen.length > 0);
  gateway.setEndpoints("api", [bad, good]);
  breakOff();
  const response = await request;
  expect(response.status).toBe(status);
  expect(good.seen.length).toBe(status === 200 ? 1 : 0);
  if (status !== 200) {
    expect(await response.json()).toMatchObject({ error: { code: "connection-lost" } });
    expect(gateway.stats().retries).toBe(0);
    return;
  }
  const [first, second] = [bad.seen[0], good.seen[0]];
  expect(second?.headers["holdfast-request-id"]).toBe(first?.headers["holdfast-request-id"]);
  expect([first?.headers["holdfast-attempt"], second?.headers["holdfast-attempt"]]).toEqual([undefined, "2"]);
});

test.each([
  ["cannot be reached", undefined],
  [
    "refuses before its handler",
    ((_, response) => {
      response.writeHead(503, { "holdfast-outcome": "not-applied", "holdfast-retry": "no" }).end("not done");
    }) satisfies Handler,
  ],
])("a keyed POST that broke off, and whose next instance %s, stays in doubt", async (_, answer) => {
  const ends: OperationEnd[] = [];
  const stop = seam.observe({ end: (end) => ends.push(end) });
  const { handler, breakOff } = breaksOffOnCommand();
  const bad = await instanceOf("bad", handler);
  const next = answer
    ? await instanceOf("next", answer)
    : { id: "next", host: "127.0.0.1", port: await deadPort() };
  const gateway = await gatewayTo([bad], { healthMs: 60_000 });
  const request = fetch(gateway.url, { method: "POST", headers: { "idempotency-key": "k" }, body: "x" });
  await until("the first attempt", () => bad.seen.length > 0);
  gateway.setEndpoints("api", [next]);
  breakOff();
  const response = await request;
  // The second refusal says nothing about the first attempt, which may have been applied.
  expect(response.status).toBe(502);
  expect(await response.json()).toMatchObject({ error: { code: "connection-lost" } });
  await until("its end", () => ends.length > 0);
  stop();
  expect(ends).toMatchObject([{ operation: "request", outcome: "unknown" }]);
  expect(bad.seen.length).toBe(1);
});

test("a POST that was never sent goes to another instance", async () => {
  const dead = { id: "dead", host: "127.0.0.1", port: await deadPort() };
  const good = await instanceOf("good", echo);
  for (let i = 0; i < 8; i++) {
    const gateway = await gatewayTo([dead, good], { healthMs: 60_000 });
    const response = await fetch(gateway.url, { method: "POST", body: "x" });
    expect(response.status).toBe(200);
  }
  expect(good.seen.length).toBe(8);
});

test("a POST that an instance refused before its handler goes to another one", async () => {
  const full = await instanceOf("full", refuses);
  const good = await instanceOf("good", echo);
  const gateway = await gatewayTo([full, good]);
  for (let i = 0; i < 20; i++) {
    const response = await fetch(gateway.url, { method: "POST", body: "x" });
    expect((await echoed(response)).body).toBe("x");
  }
  expect(full.seen.length).toBeGreaterThan(0);
});

test("a refusal that every instance gives is handed on, without the system's own words", async () => {
  const gateway = await gatewayTo([await instanceOf("a", refuses), await instanceOf("b", refuses)]);
  const response = await fetch(gateway.url);
  expect(response.status).toBe(503);
  expect(response.headers.get("holdfast-outcome")).toBeNull();
  expect(await response.json()).toMatchObject({ error: { code: "overloaded" } });
  expect(gateway.stats().retries).toBe(2);
});

test("a failure that says nothing of its outcome is handed on, not repeated", async () => {
  const failing: Handler = (_request, response) => response.writeHead(500).end("{}");
  const [a, b] = [await instanceOf("a", failing), await instanceOf("b", failing)];
  const gateway = await gatewayTo([a, b]);
  expect((await fetch(gateway.url)).status).toBe(500);
  expect(a.seen.length + b.seen.length).toBe(1);
});

test("a body too large to keep is not sent a second time, even with a key", async () => {
  const { handler, breakOff } = breaksOffOnCommand();
  const [bad, good] = [await instanceOf("bad", handler), await instanceOf("good", echo)];
  const gateway = await gatewayTo([bad], { healthMs: 60_000 });
  const request = fetch(gateway.url, {
    method: "POST",
    body: "x".repeat(100_000),
    headers: { "idempotency-key": "k" },
  });
  await until("the first attempt", () => bad.seen.length > 0);
  gateway.setEndpoints("api", [bad, good]);
  breakOff();
  expect((await request).status).toBe(502);
  expect(good.seen.length).toBe(0);
});

test("an answer that breaks off in the middle is cut, so that the client sees it is half", async () => {
  const bad = await instanceOf("bad", (request, response) => {
    response.writeHead(200, { "content-length": 100 });
    response.write("half", () => request.socket.destroy());
  });
  const good = await instanceOf("good", echo);
  const gateway = await gatewayTo([bad]);
  const request = fetch(gateway.url).then((response) => response.text());
  await expect(request).rejects.toThrow();
  expect(good.seen.length).toBe(0);
});

test("attempts end with the budget: an outage is not multiplied", async () => {
  const bad = await instanceOf("bad", breaksOff);
  const gateway = await gatewayTo([bad], { healthMs: 60_000 });
  const requests = 300;
  const answers = await Promise.all(Array.from({ length: requests }, () => fetch(gateway.url)));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([502]));
  // What a new budget has saved up, and the one that each second adds; without it there were 600.
  expect(gateway.stats().retries).toBeGreaterThan(0);
  expect(gateway.stats().retries).toBeLessThan(300);
});

test("an instance that is killed with kill -9 under load fails no GET", async () => {
  const [a, b] = await Promise.all([instanceProcess("a"), instanceProcess("b")]);
  const gateway = await gatewayTo([a, b]);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  const statuses: number[] = [];
  const ask = () =>
    new Promise<void>((resolve, reject) => {
      http
        .get(gateway.url, { agent }, (response) => {
          statuses.push(response.statusCode as number);
          response.resume();
          response.on("end", resolve);
        })
        .on("error", reject);
    });
  let stop = false;
  const client = async () => {
    while (!stop) await ask();
  };
  const load = Promise.all(Array.from({ length: 16 }, client));
  await until("some load", () => statuses.length > 300);
  a.child.kill("SIGKILL");
  await once(a.child, "exit");
  const atDeath = statuses.length;
  await until("load after the death", () => statuses.length > atDeath + 300);
  stop = true;
  await load;
  agent.destroy();
  expect(statuses.filter((status) => status !== 200)).toEqual([]);
  expect(gateway.stats().retries).toBeGreaterThan(0);
});

// Health.

test("a draining instance gets no new requests, and one that comes back gets them again", async () => {
  let draining = true;
  const server = http.createServer((request, response) => {
    if (request.url !== "/.holdfast/health") seen++;
    response.writeHead(draining && request.url === "/.holdfast/health" ? 503 : 200).end("{}");
  });
  let seen = 0;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push({ close: async () => void server.close() });
  const { port } = server.address() as net.AddressInfo;
  const other = await instanceOf("other", echo);
  const gateway = await gatewayTo([{ id: "drains", host: "127.0.0.1", port }, other], { healthMs: 20 });
  const healthy = () => gateway.stats().endpoints.find(({ id }) => id === "drains")?.healthy;
  await until("the instance to be out", () => healthy() === false);
  seen = 0;
  for (let i = 0; i < 20; i++) expect((await fetch(gateway.url)).status).toBe(200);
  expect(seen).toBe(0);
  draining = false;
  await until("the instance to be back", () => healthy() === true);
});

test("when all instances look bad, they are asked all the same", async () => {
  const port = await deadPort();
  const gateway = await gatewayTo([{ id: "a", host: "127.0.0.1", port }], { healthMs: 60_000 });
  expect((await fetch(gateway.url)).status).toBe(503);
  expect(gateway.stats().endpoints[0]?.healthy).toBe(false);
  await instanceOf("a", echo, port);
  expect((await fetch(gateway.url)).status).toBe(200);
});

test("an instance that is taken away finishes what it has", async () => {
  let answer: (() => void) | undefined;
  const old = await instanceOf("old", (_request, response) => {
    answer = () => response.end("done");
  });
  const next = await instanceOf("next", echo);
  const gateway = await gatewayTo([old]);
  const slow = fetch(gateway.url);
  await until("the request to be under way", () => old.seen.length === 1);
  gateway.setEndpoints("api", [next]);
  expect((await fetch(gateway.url)).status).toBe(200);
  expect(next.seen.length).toBe(1);
  answer?.();
  expect(await (await slow).text()).toBe("done");
});

// Clients.

test("a client that goes away takes its request with it", async () => {
  let cut = false;
  const instance = await instanceOf("a", (request) => {
    request.socket.on("close", () => {
      cut = true;
    });
  });
  const gateway = await gatewayTo([instance]);
  const abort = new AbortController();
  const request = fetch(gateway.url, { signal: abort.signal });
  await until("the request to arrive", () => instance.seen.length === 1);
  abort.abort();
  await expect(request).rejects.toThrow();
  await until("the instance's connection to be cut", () => cut);
  await until("nothing to be under way", () => gateway.stats().inFlight === 0);
});

test.each([
  ["sized", "Content-Length: 5000000", "x".repeat(200_000)],
  ["chunked", "Transfer-Encoding: chunked", `30d40\r\n${"x".repeat(200_000)}\r\n`],
])("an instance that answers before a %s upload is complete is heard", async (_what, framing, part) => {
  const instance = await instanceOf("a", (_request, response) => {
    response.writeHead(401, { "content-length": 4 }).end("who?");
  });
  const gateway = await gatewayTo([instance], { limits: { headersMs: 300, requestMs: 300, checkMs: 20 } });
  const head = `POST / HTTP/1.1\r\nHost: a.test\r\n${framing}\r\n\r\n`;
  const socket = net.connect(gateway.port, "127.0.0.1");
  let text = "";
  socket.on("data", (data) => {
    text += data;
  });
  socket.on("error", () => undefined);
  socket.write(head + part);
  // The rest never comes: what follows the one answer is the end of the connection, not a second answer.
  await new Promise((resolve) => socket.once("close", resolve));
  expect(text).toMatch(/^HTTP\/1\.1 401 Unauthorized\r\n[\s\S]*\r\n\r\nwho\?$/);
  await until("nothing to be under way", () => gateway.stats().inFlight === 0);
  // And whether the client then goes on or goes away, the gateway stands.
  const next = await sendRaw(gateway.port, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  expect(next.status).toBe(401);
});

test.each([
  ["sized", { "content-length": 2_000_000 }],
  ["chunked", { "transfer-encoding": "chunked" }],
])(
  "a client that goes away in the middle of a %s upload takes its request with it",
  async (_what, headers) => {
    let aborted = false;
    const instance = await instanceOf("a", (request) => {
      request.on("error", () => {
        aborted = true;
      });
      request.resume();
    });
    const gateway = await gatewayTo([instance]);
    const request = http.request(gateway.url, { method: "POST", headers });
    request.on("error", () => undefined);
    request.write("x".repeat(200_000));
    await until("the request to arrive", () => instance.seen.length === 1);
    request.destroy();
    await until("the instance to hear of it", () => aborted);
    await until("nothing to be under way", () => gateway.stats().inFlight === 0);
  },
);

test("a client that reads slowly stops the instance, instead of filling memory", async () => {
  const chunk = Buffer.alloc(1 << 20);
  let sent = 0;
  const total = 256;
  const instance = await instanceOf("a", (_request, response) => {
    response.writeHead(200, { "content-length": total * chunk.length });
    const fill = () => {
      while (sent < total) {
        sent++;
        if (!response.write(chunk)) {
          response.once("drain", fill);
          return;
        }
      }
      response.end();
    };
    fill();
  });
  const gateway = await gatewayTo([instance], { timeoutMs: 60_000 });
  const socket = net.connect(gateway.port, "127.0.0.1");
  socket.pause();
  socket.write("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
  let before = -1;
  await until("the instance to be held back", async () => {
    const still = sent === before && sent > 0;
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 100));
    return still;
  });
  // What two sockets' kernel buffers hold, and a few chunks between them.
  expect(sent).toBeLessThan(64);
  let read = 0;
  socket.on("data", (data) => {
    read += data.length;
  });
  socket.resume();
  await once(socket, "close");
  expect(read).toBeGreaterThanOrEqual(total * chunk.length);
  expect(sent).toBe(total);
});

test("connections beyond the limit are closed as they come", async () => {
  const gateway = await gatewayTo([], { limits: { connections: 2 } });
  const sockets = [net.connect(gateway.port), net.connect(gateway.port)];
  await until("two connections", () => gateway.stats().connections === 2);
  const third = await sendRaw(gateway.port, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  expect(third.status).toBe(0);
  for (const socket of sockets) socket.destroy();
});

test("headers that do not arrive in time are a 408", async () => {
  const gateway = await gatewayTo([], { limits: { headersMs: 50, requestMs: 100, checkMs: 20 } });
  const answer = await sendRaw(gateway.port, "GET / HTTP/1.1\r\nHost: a.test\r\n");
  expect(answer.status).toBe(408);
  expect(JSON.parse(answer.body)).toMatchObject({ error: { code: "request-timeout" } });
});

test("requests beyond the limit are refused", async () => {
  const instance = await instanceOf("a", () => undefined);
  const gateway = await gatewayTo([instance], { limits: { inFlight: 1 } });
  const stuck = fetch(gateway.url).catch(() => undefined);
  await until("the first to be under way", () => gateway.stats().inFlight === 1);
  expect((await fetch(gateway.url)).status).toBe(503);
  await gateway.close();
  await stuck;
});

// Stopping, and the seam.

test("draining finishes what is under way, takes nothing new, and then closes", async () => {
  let answer: (() => void) | undefined;
  const instance = await instanceOf("a", (_request, response) => {
    answer = () => response.end("done");
  });
  const gateway = await gatewayTo([instance]);
  const slow = fetch(gateway.url);
  await until("the request to be under way", () => instance.seen.length === 1);
  const drained = gateway.drain(10_000);
  await expect(fetch(gateway.url)).rejects.toThrow();
  answer?.();
  const response = await slow;
  expect([await response.text(), response.headers.get("connection")]).toEqual(["done", "close"]);
  await drained;
  await gateway.close();
});

test("draining cuts what is not done by its deadline", async () => {
  const instance = await instanceOf("a", () => undefined);
  const gateway = await gatewayTo([instance]);
  const stuck = expect(fetch(gateway.url)).rejects.toThrow();
  await until("the request to be under way", () => instance.seen.length === 1);
  await gateway.drain(50);
  await stuck;
});

test("the seam is told of each request, how it ended and how many attempts it took", async () => {
  const ends: OperationEnd[] = [];
  const stop = seam.observe({ end: (end) => ends.push(end) });
  const instance = await instanceOf("a", echo);
  const gateway = await gatewayTo([instance], { name: "door" });
  await fetch(`${gateway.url}/x?secret=1`);
  await sendRaw(gateway.port, "GET / HTTP/1.1\r\n\r\n");
  const dead = { id: "b", host: "127.0.0.1", port: await deadPort() };
  gateway.setEndpoints("api", [dead]);
  await fetch(`${gateway.url}/y`);
  await until("three ends", () => ends.length === 3);
  stop();
  expect(ends).toMatchObject([
    {
      kind: "gateway",
      part: "door",
      operation: "request",
      outcome: "applied",
      attributes: { method: "GET", path: "/x", status: 200, attempts: 1, instance: "a" },
      call: { requestId: expect.any(String) },
    },
    { operation: "refuse", outcome: "not-applied", attributes: { status: 400, code: "bad-host" } },
    { operation: "request", outcome: "not-applied", attributes: { path: "/y", status: 503, attempts: 3 } },
  ]);
});

test("wrong options are refused together", async () => {
  const wrong = startGateway({
    listen: { host: "127.0.0.1", port: 0 },
    routes: [],
    clock: systemClock,
    seam,
    timeoutMs: 0,
    attempts: 0,
    trustedProxies: ["nonsense"],
    limits: { bodyBytes: -1, headersMs: 2000, requestMs: 1000 },
  });
  await expect(wrong).rejects.toMatchObject({
    code: "HOLDFAST_OPTIONS_INVALID",
    data: { problems: { length: 5 } },
  });
});

test("a port that is taken is refused by name", async () => {
  const first = await gatewayTo([]);
  await expect(gatewayTo([], { listen: { host: "127.0.0.1", port: first.port } })).rejects.toMatchObject({
    code: "HOLDFAST_PORT_IN_USE",
    message: expect.stringContaining("--port"),
  });
});

test("raw answers are read as they are", () => {
  expect(parseAnswer("HTTP/1.1 204 No Content\r\nA: b\r\n\r\n")).toMatchObject({ status: 204, body: "" });
});
