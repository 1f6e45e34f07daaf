/**
 * Malformed requests, as bytes on a socket: each is refused with a 4xx and a reason, reaches no instance, and
 * leaves the gateway in one piece.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Seam } from "../call/index.ts";
import { systemClock } from "../clock/index.ts";
import { sendRaw } from "./fixtures/raw-http.ts";
import { echo, type Upstream, upstream } from "./fixtures/upstream.ts";
import { startGateway } from "./gateway.ts";
import type { RunningGateway } from "./gateway-options.ts";

let instance: Upstream;
let gateway: RunningGateway;

beforeAll(async () => {
  instance = await upstream("a", echo);
  gateway = await startGateway({
    listen: { host: "127.0.0.1", port: 0 },
    routes: [{ path: "/", service: "api" }],
    clock: systemClock,
    seam: new Seam(systemClock),
    limits: { bodyBytes: 100_000 },
  });
  gateway.setEndpoints("api", [instance]);
});

afterAll(async () => {
  await gateway.close();
  await instance.close();
});

const host = "Host: example.test\r\n";
const get = (target: string, headers = host) => `GET ${target} HTTP/1.1\r\n${headers}\r\n`;
const post = (headers: string, body = "") => `POST /x HTTP/1.1\r\n${host}${headers}\r\n${body}`;

type Malformed = readonly [name: string, bytes: string | Buffer, status?: 400 | 405 | 413 | 414 | 417 | 431];

const malformed: readonly Malformed[] = [
  // Host
  ["no Host", get("/", "")],
  ["two Hosts", get("/", `${host}${host}`)],
  ["two Hosts that differ", get("/", `${host}Host: other.test\r\n`)],
  ["two Hosts in different case", get("/", `${host}hOST: other.test\r\n`)],
  ["an empty Host", get("/", "Host:\r\n")],
  ["a list as Host", get("/", "Host: a.test, b.test\r\n")],
  ["a user in Host", get("/", "Host: user@a.test\r\n")],
  ["a path in Host", get("/", "Host: a.test/admin\r\n")],
  ["a query in Host", get("/", "Host: a.test?x\r\n")],
  ["a space in Host", get("/", "Host: a.test b.test\r\n")],
  ["a port above 65535", get("/", "Host: a.test:65536\r\n")],
  ["a port that is no number", get("/", "Host: a.test:http\r\n")],
  ["an unclosed IPv6 Host", get("/", "Host: [::1\r\n")],
  ["HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n"],
  // Target
  ["no slash before the path", get("admin")],
  ["an asterisk with GET", get("*")],
  ["a fragment", get("/a#b")],
  ["an absolute target of another host", get("http://other.test/")],
  ["an absolute target of another port", get("http://example.test:81/")],
  ["an absolute target with a user", get("http://user@example.test/")],
  ["an absolute target of another scheme", get("https://example.test/")],
  ["an authority as target", get("example.test:80")],
  ["a percent sign alone", get("/100%")],
  ["half an escape", get("/%2")],
  ["an escape with wrong digits", get("/%zz")],
  ["an encoded NUL", get("/a%00b")],
  ["an encoded NUL in the query", get("/a?b=%00")],
  ["an encoded line feed", get("/a%0ab")],
  ["an encoded carriage return", get("/a%0D%0AX:y")],
  ["an encoded DEL", get("/a%7f")],
  ["an encoding that is not UTF-8", get("/%ff")],
  ["an overlong slash", get("/%c0%af")],
  ["an encoded surrogate", get("/%ed%a0%80")],
  ["dot dot", get("/a/../b")],
  ["dot dot at the end", get("/a/..")],
  ["a single dot", get("/a/./b")],
  ["an encoded dot dot", get("/a/%2e%2e/b")],
  ["a half-encoded dot dot", get("/a/.%2E/b")],
  ["dot dot behind an encoded slash", get("/a%2f..%2fb")],
  ["a backslash", get("/a\\b")],
  ["an encoded backslash", get("/a%5cb")],
  ["a raw byte above ASCII", Buffer.from(get("/caf\u00e9"), "latin1")],
  ["a raw tab in the path", get("/a\tb")],
  ["a space in the path", get("/a b")],
  ["a NUL in the path", get("/a\0b")],
  ["a URL of 9000 characters", get(`/${"a".repeat(9000)}`), 414],
  // Framing
  ["Content-Length with a leading zero", post("Content-Length: 005\r\n", "12345")],
  ["Content-Length with a sign", post("Content-Length: +5\r\n", "12345")],
  ["a negative Content-Length", post("Content-Length: -5\r\n", "12345")],
  ["a list as Content-Length", post("Content-Length: 5, 5\r\n", "12345")],
  ["Content-Length twice, equal", post("Content-Length: 5\r\nContent-Length: 5\r\n", "12345")],
  ["Content-Length twice, different", post("Content-Length: 5\r\nContent-Length: 6\r\n", "12345")],
  ["an empty Content-Length", post("Content-Length:\r\n", "")],
  ["Content-Length in hexadecimal", post("Content-Length: 0x5\r\n", "12345")],
  ["a Content-Length beyond all numbers", post("Content-Length: 99999999999999999999\r\n", "12345")],
  ["Content-Length and chunked", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")],
  [
    "Content-Length and an empty Transfer-Encoding",
    post("Content-Length: 5\r\nTransfer-Encoding:\r\n", "12345"),
  ],
  ["an empty Transfer-Encoding", post("Transfer-Encoding:\r\n", "0\r\n\r\n")],
  ["gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")],
  ["chunked twice", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n")],
  [
    "chunked in two fields",
    post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
  ],
  ["chunked, identity", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n")],
  ["identity", post("Transfer-Encoding: identity\r\n", "0\r\n\r\n")],
  ["a coding like chunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")],
  ["chunked with a vertical tab", post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n")],
  ["a space before the colon of Transfer-Encoding", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n")],
  ["chunked over HTTP/1.0", `POST /x HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ["a chunk size that is no number", post("Transfer-Encoding: chunked\r\n", "zz\r\n12345\r\n0\r\n\r\n")],
  ["a negative chunk size", post("Transfer-Encoding: chunked\r\n", "-1\r\n12345\r\n0\r\n\r\n")],
  ["a chunk longer than its size", post("Transfer-Encoding: chunked\r\n", "3\r\n12345\r\n0\r\n\r\n")],
  ["a body that is announced too large", post("Content-Length: 100001\r\n"), 413],
  [
    "a chunked body that grows too large",
    post(
      "Transfer-Encoding: chunked\r\n",
      `${"4e20\r\n".concat("x".repeat(20_000), "\r\n").repeat(6)}0\r\n\r\n`,
    ),
    413,
  ],
  // Head
  ["a method in lower case", `get / HTTP/1.1\r\n${host}\r\n`],
  ["an unknown method", `FROB / HTTP/1.1\r\n${host}\r\n`],
  ["TRACE", `TRACE / HTTP/1.1\r\n${host}\r\n`, 405],
  ["CONNECT", "CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n", 405],
  ["a method of another protocol", `PROPFIND / HTTP/1.1\r\n${host}\r\n`, 405],
  ["HTTP/2.0 in plain text", `GET / HTTP/2.0\r\n${host}\r\n`],
  ["HTTP/0.9", "GET /\r\n\r\n"],
  ["HTTP/1.2", `GET / HTTP/1.2\r\n${host}\r\n`],
  ["a version that is none", `GET / HTTX/1.1\r\n${host}\r\n`],
  ["no version", `GET / \r\n${host}\r\n`],
  ["binary noise", Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03, 0x0a])],
  ["the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["a folded header", get("/", `${host}X-A: 1\r\n 2\r\n`)],
  ["a header without colon", get("/", `${host}NoColon\r\n`)],
  ["a header without name", get("/", `${host}: value\r\n`)],
  ["a space in a header's name", get("/", `${host}X A: 1\r\n`)],
  ["a NUL in a header", get("/", `${host}X-A: a\0b\r\n`)],
  ["a bare carriage return in a header", get("/", `${host}X-A: a\rb\r\n`)],
  ["129 headers", get("/", `${host}${Array.from({ length: 128 }, (_, i) => `X-${i}: 1\r\n`).join("")}`), 431],
  ["a header of 40 kB", get("/", `${host}X-A: ${"a".repeat(40_000)}\r\n`), 431],
  ["an expectation that nobody knows", get("/", `${host}Expect: the-unexpected\r\n`), 417],
  ["an idempotency key with a space", post("Idempotency-Key: a b\r\nContent-Length: 0\r\n")],
  ["an empty idempotency key", post("Idempotency-Key:\r\nContent-Length: 0\r\n")],
  ["two idempotency keys", post("Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: 0\r\n")],
  [
    "an idempotency key of 600 characters",
    post(`Idempotency-Key: ${"k".repeat(600)}\r\nContent-Length: 0\r\n`),
  ],
  [
    "a WebSocket upgrade",
    get(
      "/",
      `${host}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n`,
    ),
  ],
  ["an upgrade to an unknown protocol", get("/", `${host}Connection: Upgrade\r\nUpgrade: frob/1\r\n`)],
];

test.each(malformed.map(([name, bytes, status = 400]) => ({ name, bytes, status })))(
  "$name is refused",
  async ({ name, bytes, status }) => {
    const before = instance.seen.length;
    const answer = await sendRaw(gateway.address.port, bytes);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body)).toEqual({
      error: { code: expect.stringMatching(/^[a-z0-9-]+$/), message: expect.stringMatching(/^[A-Z].*\.$/) },
    });
    expect(answer.headers.get("connection")).toBe("close");
    // The one that is found out in mid-body has been sent on by then; it is cut off, never completed.
    if (name !== "a chunked body that grows too large") expect(instance.seen.length).toBe(before);
    const next = await sendRaw(gateway.address.port, get("/still-there"));
    expect(next.status).toBe(200);
  },
);

test("the corpus has at least 60 vectors", () => expect(malformed.length).toBeGreaterThanOrEqual(60));

const unusual: readonly (readonly [name: string, bytes: string, seenUrl: string])[] = [
  ["an absolute target of the same host", get("http://example.test/a?b"), "/a?b"],
  ["an absolute target without a path", get("http://EXAMPLE.test:80?b"), "/?b"],
  ["an encoded letter", get("/%61"), "/%61"],
  ["an encoded slash", get("/a%2Fb"), "/a%2Fb"],
  ["dots that are no dot segment", get("/a..b/...c"), "/a..b/...c"],
  ["a percent sign in the query", get("/a?b=100%"), "/a?b=100%"],
  ["braces and bars in the query", get('/a?b={"c"|d}'), '/a?b={"c"|d}'],
  ["an IPv6 host", get("/a", "Host: [::1]:4000\r\n"), "/a"],
  ["HTTP/1.0 with a Host", `GET /a HTTP/1.0\r\n${host}\r\n`, "/a"],
  ["an empty line before the request", `\r\n${get("/a")}`, "/a"],
  ["a chunk extension", post("Transfer-Encoding: chunked\r\n", "5;x=y\r\n12345\r\n0\r\n\r\n"), "/x"],
  [
    "an h2c upgrade, which is ignored",
    get("/a", `${host}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n`),
    "/a",
  ],
];

test.each(unusual)("%s is allowed", async (_name, bytes, seenUrl) => {
  const answer = await sendRaw(gateway.address.port, bytes);
  expect(answer.status).toBe(200);
  expect(instance.seen.at(-1)?.url).toBe(seenUrl);
  for (const name of ["upgrade", "http2-settings"])
    expect(instance.seen.at(-1)?.headers).not.toHaveProperty(name);
});

test("OPTIONS * is answered here", async () => {
  const answer = await sendRaw(
    gateway.address.port,
    `OPTIONS * HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
  );
  expect(answer.status).toBe(204);
  expect(answer.headers.get("allow")).toContain("GET");
});

test("Expect: 100-continue is decided here: refused before the body, or told to go on", async () => {
  const refused = await sendRaw(
    gateway.address.port,
    post("Expect: 100-continue\r\nContent-Length: 100001\r\n"),
  );
  expect(refused.status).toBe(413);
  const response = await sendRaw(
    gateway.address.port,
    post("Expect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n", "12345"),
  );
  expect(response.status).toBe(100);
  expect(response.body).toContain("HTTP/1.1 200 OK");
  expect(instance.seen.at(-1)?.headers).not.toHaveProperty("expect");
});
