/** The server of an instance, over real connections: calls, refusals, deadlines, bodies and draining. */
import { once } from "node:events";
import http, { type IncomingMessage } from "node:http";
import { afterEach, expect, test } from "vitest";
import { currentCall, HoldfastError, type OperationEnd, Seam } from "../call/index.ts";
import { systemClock } from "../clock/index.ts";
import { sendRaw } from "./fixtures/raw-http.ts";
import { until } from "./fixtures/upstream.ts";
import { healthPath, serveFetch } from "./serve.ts";
import type { ServedInstance, ServeOptions } from "./serve-options.ts";

const open: ServedInstance[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

const seam = new Seam(systemClock);

async function serve(
  handle: (request: Request) => Response | Promise<Response>,
  options: Partial<ServeOptions> = {},
): Promise<ServedInstance & { url: string; port: number }> {
  const handler = { fetch: handle };
  const instance = await serveFetch({ name: "api", clock: systemClock, seam, handler, ...options });
  open.push(instance);
  const { port } = instance;
  return Object.assign(instance, { url: `http://127.0.0.1:${port}` });
}

const failing = (error: unknown) => () => Promise.reject(error);
const never = () => new Promise<Response>(() => undefined);

test("malformed headers of a call are ignored and counted, never fatal", async () => {
  const instance = await serve(() => Response.json({ attempt: currentCall()?.attempt }));
  const headers = { "holdfast-attempt": "many", "holdfast-deadline": "-5", traceparent: "00-nonsense" };
  for (let times = 1; times <= 2; times++) {
    expect(await (await fetch(instance.url, { headers })).json()).toEqual({ attempt: 1 });
    expect(instance.malformedHeaders).toEqual({
      "holdfast-attempt": times,
      "holdfast-deadline": times,
      traceparent: times,
    });
  }
});

test("a handler runs in the call that the headers carry", async () => {
  const { url } = await serve(() => {
    const call = currentCall();
    return Response.json({
      requestId: call?.requestId,
      key: call?.idempotencyKey,
      attempt: call?.attempt,
      traceId: call?.trace.traceId,
      leftMs: call?.remainingMs(),
    });
  });
  const response = await fetch(url, {
    headers: {
      "holdfast-request-id": "r-1",
      "holdfast-deadline": "20000",
      "holdfast-attempt": "2",
      "idempotency-key": "k-1",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    },
  });
  const { leftMs, ...call } = (await response.json()) as { leftMs: number };
  expect(call).toEqual({
    requestId: "r-1",
    key: "k-1",
    attempt: 2,
    traceId: "0af7651916cd43dd8448eb211c80319c",
  });
  expect(leftMs).toBeGreaterThan(0);
  expect(leftMs).toBeLessThanOrEqual(20_000);
});

test("a request without a deadline gets the service's own, and malformed headers count as absent", async () => {
  const { url } = await serve(() => Response.json(currentCall()?.remainingMs()), { timeoutMs: 50_000 });
  const response = await fetch(url, { headers: { "holdfast-deadline": "soon", traceparent: "x" } });
  const leftMs = (await response.json()) as number;
  expect(leftMs).toBeGreaterThan(35_000);
  expect(leftMs).toBeLessThanOrEqual(50_000);
});

const secret = "password=hunter2 at 10.0.0.7";

test.each([
  ["HOLDFAST_INPUT_INVALID", 400],
  ["HOLDFAST_OVERLOADED", 503],
  ["HOLDFAST_UNAVAILABLE", 503],
  ["HOLDFAST_DEADLINE", 504],
  ["HOLDFAST_CONNECTION_LOST", 503],
  ["HOLDFAST_UNBOUND", 500],
] as const)("%s that escapes a handler is a %d, of unknown outcome", async (code, status) => {
  const { url } = await serve(failing(new HoldfastError(code, secret, { data: { field: "url" } })));
  const response = await fetch(url);
  expect(response.status).toBe(status);
  expect(response.headers.get("holdfast-outcome")).toBeNull();
  expect(response.headers.get("retry-after")).toBe(status === 503 ? "1" : null);
  const { error } = (await response.json()) as { error: Record<string, string> };
  if (status === 400) expect(error).toEqual({ code, message: secret, field: "url" });
  else expect(JSON.stringify(error)).not.toContain("hunter2");
});

test.each([
  ["an exception", failing(new Error(secret))],
  [
    "a synchronous exception",
    () => {
      throw new Error(secret);
    },
  ],
  ["something that is no error", failing(secret)],
  ["no response", () => undefined as unknown as Response],
])("%s is a 500 that tells nothing", async (_what, handle) => {
  const { url } = await serve(handle);
  const response = await fetch(url);
  expect([response.status, response.headers.get("holdfast-outcome")]).toEqual([500, null]);
  expect(await response.json()).toEqual({
    error: { code: "internal", message: "The service failed. The cause is in its log." },
  });
});

test("a handler that takes too long is answered for, and what it says later is not heard", async () => {
  let late: ((response: Response) => void) | undefined;
  const instance = await serve(
    () =>
      new Promise((resolve) => {
        late = resolve;
      }),
  );
  const response = await fetch(instance.url, { headers: { "holdfast-deadline": "50" } });
  expect([response.status, response.headers.get("holdfast-outcome")]).toEqual([504, null]);
  expect(instance.inFlight).toBe(0);
  late?.(new Response("late"));
  expect((await fetch(instance.url + healthPath)).status).toBe(200);
});

test("a request whose deadline has passed is refused before its handler", async () => {
  let ran = false;
  const { url } = await serve(() => {
    ran = true;
    return new Response();
  });
  const response = await fetch(url, { headers: { "holdfast-deadline": "0" } });
  expect([response.status, response.headers.get("holdfast-outcome")]).toEqual([504, "not-applied"]);
  expect(response.headers.get("holdfast-retry")).toBe("no");
  expect(ran).toBe(false);
});

test("requests beyond the limit are refused, not applied", async () => {
  const instance = await serve(never, { maxInFlight: 2 });
  const stuck = [fetch(instance.url), fetch(instance.url)].map((one) => one.catch(() => undefined));
  await until("two requests under way", () => instance.inFlight === 2);
  const response = await fetch(instance.url);
  expect([response.status, response.headers.get("holdfast-outcome")]).toEqual([503, "not-applied"]);
  expect(response.headers.get("retry-after")).toBe("1");
  await instance.close();
  await Promise.all(stuck);
});

test.each([
  ["sized", { "content-length": "11" }],
  ["chunked", { "transfer-encoding": "chunked" }],
])(
  "a %s body is read up to the limit and refused above it, before the handler",
  async (_framing, headers) => {
    let ran = 0;
    const instance = await serve(
      async (request) => {
        ran++;
        return new Response(await request.text());
      },
      { maxBodyBytes: 10 },
    );
    const send = async (body: string) => {
      const length = "content-length" in headers ? { "content-length": body.length } : headers;
      const request = http.request(instance.url, { method: "POST", headers: length });
      request.end(body);
      const [response] = (await once(request, "response")) as [IncomingMessage];
      let text = "";
      for await (const chunk of response) text += chunk;
      return { status: response.statusCode, outcome: response.headers["holdfast-outcome"], text };
    };
    expect(await send("0123456789")).toEqual({ status: 200, outcome: undefined, text: "0123456789" });
    expect(await send("0123456789+")).toMatchObject({ status: 413, outcome: "not-applied" });
    expect(ran).toBe(1);
  },
);

test("malformed requests are refused as JSON, not applied", async () => {
  const { port } = await serve(() => new Response());
  for (const bytes of [
    "NONSENSE\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "GET /\\x HTTP/1.1\r\nHost: a\r\n\r\n",
  ]) {
    const answer = await sendRaw(port, bytes);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({ error: { code: "malformed-request" } });
  }
});

test("a streamed answer passes chunk by chunk", async () => {
  let push: ReadableStreamDefaultController<Uint8Array> | undefined;
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      push = controller;
    },
  });
  const { url } = await serve(() => new Response(stream));
  const bytes = (text: string) => new TextEncoder().encode(text);
  push?.enqueue(bytes("one"));
  const response = await fetch(url);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  expect((await reader.read()).value).toEqual(bytes("one"));
  push?.enqueue(bytes("two"));
  expect((await reader.read()).value).toEqual(bytes("two"));
  push?.close();
  expect((await reader.read()).done).toBe(true);
});

test("draining: health says so, what is under way finishes, then the server is closed", async () => {
  let answer: ((response: Response) => void) | undefined;
  const instance = await serve(
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  expect((await fetch(instance.url + healthPath)).status).toBe(200);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const health = () =>
    new Promise<number>((resolve, reject) => {
      http
        .get(instance.url + healthPath, { agent }, (response) => {
          response.resume();
          response.on("end", () => resolve(response.statusCode as number));
        })
        .on("error", reject);
    });
  // A connection that is open already is where the gateway asks.
  expect(await health()).toBe(200);
  const slow = fetch(instance.url);
  await until("the request to be under way", () => instance.inFlight === 1);
  const drained = instance.drain(10_000);
  expect(await health()).toBe(503);
  answer?.(new Response("done"));
  const response = await slow;
  expect([await response.text(), response.headers.get("connection")]).toEqual(["done", "close"]);
  await drained;
  agent.destroy();
  await expect(fetch(instance.url)).rejects.toThrow();
  await instance.close();
});

test("draining cuts what is not done by its deadline", async () => {
  const instance = await serve(never);
  const stuck = expect(fetch(instance.url)).rejects.toThrow();
  await until("the request to be under way", () => instance.inFlight === 1);
  await instance.drain(50);
  await stuck;
});

test("the seam hears of each request: its status, its call, and failures with their cause", async () => {
  const ends: OperationEnd[] = [];
  const stop = seam.observe({ end: (end) => ends.push(end) });
  const cause = new Error("broken");
  const { url } = await serve((request) => {
    if (request.url.endsWith("/bad")) throw new HoldfastError("HOLDFAST_INPUT_INVALID", "No.");
    if (request.url.endsWith("/broken")) throw cause;
    if (request.url.endsWith("/said")) return new Response("no", { status: 503 });
    return new Response("fine", { status: 201 });
  });
  for (const path of ["/good?x=1", "/bad", "/broken", "/said"]) await fetch(url + path);
  await fetch(url, { headers: { "holdfast-deadline": "0" } });
  stop();
  expect(ends).toMatchObject([
    {
      kind: "service",
      part: "api",
      outcome: "applied",
      attributes: { method: "GET", path: "/good", status: 201 },
    },
    { outcome: "applied", attributes: { path: "/bad", status: 400 } },
    {
      outcome: "unknown",
      attributes: { path: "/broken", status: 500 },
      error: { code: "HOLDFAST_HANDLER_FAILED", cause },
    },
    { outcome: "unknown", attributes: { path: "/said", status: 503 } },
    { outcome: "not-applied", attributes: { status: 504 }, error: { code: "HOLDFAST_DEADLINE" } },
  ]);
});

test("wrong options are refused together", async () => {
  const wrong = serveFetch({
    name: "api",
    clock: systemClock,
    seam,
    handler: {} as ServeOptions["handler"],
    port: -1,
    timeoutMs: 0,
  });
  await expect(wrong).rejects.toMatchObject({
    code: "HOLDFAST_OPTIONS_INVALID",
    data: { problems: { length: 3 } },
  });
});
