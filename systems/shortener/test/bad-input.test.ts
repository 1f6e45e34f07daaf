/**
 * Malformed requests, byte for byte, against the gateway and against an instance of the API: each is answered
 * with a 4xx that says what is wrong, and nothing crashes.
 */
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { send } from "./rig/load-driver.ts";
import { type RunningShortener, startShortener } from "./rig/running-system.ts";

let system: RunningShortener;
let before: readonly (number | undefined)[];
const ports = { gateway: 0, instance: 0 };
const pids = async () => (await system.status()).instances.map(({ pid }) => pid);

beforeAll(async () => {
  system = await startShortener();
  ports.gateway = system.port;
  ports.instance = (await system.instances("api"))[0]?.port as number;
  before = await pids();
});
afterAll(() => system?.stop());

type Bytes = string | Buffer;
/** `instance` is the status of an instance of the API where the gateway already refuses with another one. */
type Row = readonly [name: string, bytes: Bytes, status: number, instance?: number];

const close = "Host: h\r\nConnection: close\r\n";
const get = (target: string, headers = "") => `GET ${target} HTTP/1.1\r\n${close}${headers}\r\n`;
const withBody = (line: string, body: Bytes, headers: string) =>
  Buffer.concat([
    Buffer.from(`${line} HTTP/1.1\r\n${close}Content-Length: ${Buffer.byteLength(body)}\r\n${headers}\r\n`),
    Buffer.from(body),
  ]);
const json = "Content-Type: application/json\r\n";
const post = (body: Bytes, headers = json) => withBody("POST /links", body, headers);
const link = (fields: Record<string, unknown>) =>
  post(JSON.stringify({ url: "https://example.com/", ...fields }));
const key = `Authorization: Bearer ${"x".repeat(43)}\r\n`;
const nested = `${'{"url":'.repeat(40)}1${"}".repeat(40)}`;

const paths: Row[] = [
  ["a lone percent sign", get("/%"), 400, 404],
  ["a broken escape", get("/%zz"), 400, 404],
  ["an escaped NUL", get("/abc%00def"), 400, 404],
  ["escaped line ends", get("/abc%0d%0aset-cookie:%20x=1"), 400, 404],
  ["an escape that is not UTF-8", get("/%ff%fe%fd"), 400, 404],
  ["a way up", get("/../../etc/passwd"), 400, 404],
  ["an escaped way up", get("/..%2f..%2fetc%2fpasswd"), 400, 404],
  ["two slashes", get("//evil.example/"), 404],
  ["a code that is too short", get("/ab"), 404],
  ["a code that is too long", get(`/${"a".repeat(65)}`), 404],
  ["too many segments", get("/links/abc/stats/more"), 404],
  ["stats of a code that cannot be", get("/links/a.b/stats"), 404],
  ["a QR code of no link", get("/links/no-such-link/qr.svg"), 404],
  ["a space in the target", get("/a b"), 400],
  ["a target without a slash", get("abc"), 400],
  ["a limit of nothing", get("/links?limit=0"), 400],
  ["a limit that is too high", get("/links?limit=101"), 400],
  ["a limit that is no number", get("/links?limit=1e1"), 400],
  ["a limit twice", get("/links?limit=1&limit=2"), 400],
  ["an unknown parameter", get("/links?sort=url"), 400],
  ["a cursor from nowhere", get("/links?cursor=%00"), 400],
  [
    "a forged cursor",
    get(`/links?cursor=${Buffer.from('[1,"x\' or 1=1",null]').toString("base64url")}`),
    400,
  ],
  ["a tag that cannot be", get("/links?tag=%0a"), 400],
];

const methods: Row[] = [
  ["a method that the path does not have", withBody("PUT /links", "{}", json), 405],
  ["a POST to a code", withBody("POST /abc", "{}", json), 405],
  ["a DELETE of the page", withBody("DELETE /", "", ""), 405],
  ["a TRACE", `TRACE / HTTP/1.1\r\n${close}\r\n`, 405],
  ["a method that nobody knows", `BREW /coffee HTTP/1.1\r\n${close}\r\n`, 400],
];

const headers: Row[] = [
  ["a Host that cannot be", "GET / HTTP/1.1\r\nHost: a b/c?\r\nConnection: close\r\n\r\n", 400],
  ["a header without a colon", get("/", "nonsense\r\n"), 400],
  ["a header name with a space", get("/", "bad name: x\r\n"), 400],
  ["a NUL in a header", get("/", "x-nul: a\u0000b\r\n"), 400],
  ["a header over two lines", get("/", "x-fold: a\r\n b\r\n"), 400],
  ["a header that is too long", get("/", `x-long: ${"x".repeat(70_000)}\r\n`), 431],
  ["a length and chunks", post("{}", `${json}Transfer-Encoding: chunked\r\n`), 400],
  [
    "two lengths",
    `POST /links HTTP/1.1\r\n${close}${json}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
    400,
  ],
  ["a negative length", `POST /links HTTP/1.1\r\n${close}${json}Content-Length: -1\r\n\r\n`, 400],
  ["a length that is no number", `POST /links HTTP/1.1\r\n${close}${json}Content-Length: two\r\n\r\n{}`, 400],
  [
    "a chunk without a size",
    `POST /links HTTP/1.1\r\n${close}${json}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n`,
    400,
  ],
  ["a version that is not there", "GET / HTTP/9.9\r\nHost: h\r\nConnection: close\r\n\r\n", 400],
  ["no HTTP at all", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003\r\n\r\n", 400],
  ["an expectation that cannot be met", get("/", "Expect: the-unexpected\r\n"), 417],
  ["an idempotency key that is too long", link0(`Idempotency-Key: ${"k".repeat(256)}\r\n`), 400],
  ["an idempotency key with spaces", link0("Idempotency-Key: a b\r\n"), 400],
];

function link0(header: string): Buffer {
  return post('{"url":"https://example.com/"}', json + header);
}

const bodies: Row[] = [
  ["no body", post(""), 400],
  ["no JSON", post("url=https://example.com/"), 400],
  ["half of it", post('{"url":"https://exam'), 400],
  ["null", post("null"), 400],
  ["a number", post("7"), 400],
  ["a list", post("[]"), 400],
  ["no url", post("{}"), 400],
  ["a deep nest", post(nested), 400],
  ["a nest that exhausts a parser", post(`${"[".repeat(8_000)}${"]".repeat(8_000)}`), 400],
  ["bytes that are not UTF-8", post(Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])), 400],
  ["UTF-16", post(Buffer.from('{"url":"https://example.com/"}', "utf16le")), 400],
  ["another content type", post("{}", "Content-Type: text/plain\r\n"), 415],
  ["no content type", post("{}", ""), 415],
  ["another charset", post("{}", "Content-Type: application/json; charset=latin1\r\n"), 415],
  ["a compressed body", post("{}", `${json}Content-Encoding: gzip\r\n`), 415],
  ["a body that is too large", link({ url: `https://example.com/${"x".repeat(20_000)}` }), 413],
  [
    "a length that is too large",
    `POST /links HTTP/1.1\r\n${close}${json}Content-Length: 99999999\r\n\r\n{}`,
    413,
  ],
  ["an unknown field", link({ admin: true }), 400],
  ["a prototype", post('{"url":"https://example.com/","__proto__":{"status":301}}'), 400],
  ["a url that is a number", link({ url: 7 }), 400],
  ["an empty url", link({ url: "" }), 400],
  ["a url that is too long", link({ url: `https://example.com/${"x".repeat(2_100)}` }), 400],
  ["a url of another kind", link({ url: "javascript:alert(1)" }), 400],
  ["a url with a password", link({ url: "https://a:b@example.com/" }), 400],
  ["a url with a NUL", link({ url: "https://example.com/\u0000" }), 400],
  ["a url with half a character", post('{"url":"https://example.com/\\ud800"}'), 400],
  ["a url that leads back", link({ url: "http://h/abc" }), 400],
  ["a code with a slash", link({ code: "a/b" }), 400],
  ["a reserved code", link({ code: "Links" }), 400],
  ["a code that is null", link({ code: null }), 400],
  ["an expiry that is no time", link({ expiresAt: "tomorrow" }), 400],
  ["an expiry that does not exist", link({ expiresAt: "2030-13-45T99:00:00Z" }), 400],
  ["an expiry on a day that is in no calendar", link({ expiresAt: "2030-02-30T00:00:00Z" }), 400],
  [
    "an expiry that its zone moves beyond the year 9999",
    link({ expiresAt: "9999-12-31T23:59:00-01:00" }),
    400,
  ],
  ["an expiry in the past", link({ expiresAt: "2001-01-01T00:00:00Z" }), 400],
  ["a limit of no visits", link({ maxVisits: 0 }), 400],
  ["a limit of half a visit", link({ maxVisits: 1.5 }), 400],
  ["a limit beyond all numbers", post('{"url":"https://example.com/","maxVisits":1e999}'), 400],
  ["a status that does not redirect", link({ status: 200 }), 400],
  ["tags that are no list", link({ tags: "a" }), 400],
  ["too many tags", link({ tags: Array.from({ length: 11 }, (_, i) => `t${i}`) }), 400],
  ["a tag that is an object", link({ tags: [{}] }), 400],
  ["a change without a key", withBody("PATCH /links/abc", '{"disabled":true}', json), 401],
  [
    "a change with another kind of key",
    withBody("PATCH /links/abc", '{"disabled":true}', `${json}Authorization: Basic eDp5\r\n`),
    401,
  ],
  ["a change of nothing", withBody("PATCH /links/abc", "{}", json + key), 400],
  ["a change of the code", withBody("PATCH /links/abc", '{"code":"def"}', json + key), 400],
  ["a change of no link", withBody("PATCH /links/no-such-link", '{"disabled":true}', json + key), 404],
  ["a removal without a key", withBody("DELETE /links/abc", "", ""), 401],
];

const outside: Row[] = [
  ["no Host", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400],
  ["two Hosts", `GET / HTTP/1.1\r\nHost: a\r\n${close}\r\n`, 400],
  ["the health of an instance, from outside", get("/.holdfast/health"), 404],
  ["a target that is too long", get(`/${"a".repeat(9_000)}`), 414],
  ["too many headers", get("/", "x: y\r\n".repeat(300)), 431],
];

const inside = [...paths, ...methods, ...headers, ...bodies];

const against = {
  gateway: [...inside, ...outside],
  instance: inside.map(([name, bytes, status, instance = status]): Row => [name, bytes, instance]),
};

for (const at of ["gateway", "instance"] as const) {
  describe(at, () => {
    for (const [name, bytes, status] of against[at]) {
      test(name, async () => {
        const answer = await exchange(ports[at], bytes);
        expect(answer.status, answer.text).toBe(status);
        const { error } = JSON.parse(answer.body) as { error: { code: string; message: string } };
        expect(error.code).toMatch(/^[a-z][a-z0-9-]+$/);
        expect(error.message.length).toBeGreaterThan(10);
      });
    }
  });
}

test("there are more than forty of them, and none has ended a process", async () => {
  expect(inside.length).toBeGreaterThan(40);
  expect(await pids()).toEqual(before);
  expect((await send(`${system.url}/`)).status).toBe(200);
});

/** Sends bytes as they are and reads until the other side closes. */
function exchange(port: number, bytes: Bytes): Promise<{ status: number; body: string; text: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket.setEncoding("utf8");
    socket.setTimeout(10_000, () =>
      socket.destroy(new Error(`no answer within 10 s, only ${JSON.stringify(text)}`)),
    );
    socket.on("data", (part) => {
      text += part;
    });
    const finish = (error?: Error) => {
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]);
      if (Number.isNaN(status)) reject(error ?? new Error(`no HTTP answer: ${JSON.stringify(text)}`));
      else resolve({ status, body: bodyOf(text), text });
    };
    socket.on("error", finish);
    socket.on("close", () => finish());
    socket.write(bytes);
  });
}

function bodyOf(text: string): string {
  const body = text.slice(text.indexOf("\r\n\r\n") + 4);
  return /^transfer-encoding: chunked/im.test(text) ? body.replace(/(^|\r\n)[0-9a-f]+\r\n/gi, "") : body;
}
