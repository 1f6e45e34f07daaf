/** Requests that were well-formed before a seeded hand broke them: every one is answered, none with a 5xx. */
import { expect, test } from "vitest";
import { Seam } from "../call/index.ts";
import { type Random, randomInt, seededRandom, systemClock } from "../clock/index.ts";
import { sendRaw } from "./fixtures/raw-http.ts";
import { upstream } from "./fixtures/upstream.ts";
import { startGateway } from "./gateway.ts";

const head = "HTTP/1.1\r\nHost: a.test\r\nConnection: close";
const originals = [
  `GET /a/b?c=d ${head}\r\nX-A: 1\r\n\r\n`,
  `POST /x ${head}\r\nContent-Length: 5\r\nIdempotency-Key: k\r\n\r\n12345`,
  `POST /x ${head}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n`,
  `GET / ${head}, X-A\r\nExpect: 100-continue\r\nUpgrade: h2c\r\nX-A: 1\r\n\r\n`,
];
const fragments =
  "\r\n|\0|%|%2e|..|\\|#|:|,| |\t|chunked|Host: b\r\n|Content-Length: 3\r\n|\xff|*|http://|@|99999999999|-1|;";

function mutant(random: Random): Buffer {
  const pick = <T>(list: readonly T[]) => list[randomInt(random, list.length)] as T;
  let text = pick(originals);
  for (let left = 1 + randomInt(random, 3); left > 0; left--) {
    const at = randomInt(random, text.length);
    const put =
      random.next() < 0.7 ? pick(fragments.split("|")) : String.fromCharCode(randomInt(random, 256));
    text = text.slice(0, at) + put + text.slice(at + randomInt(random, 3));
  }
  return Buffer.from(text, "latin1");
}

test("six hundred mutants are answered, with 4xx where they are malformed and never with 5xx", async () => {
  const instance = await upstream("a", (request, response) => {
    request.resume();
    response.writeHead(200, { "content-length": 2 }).end("ok");
  });
  const gateway = await startGateway({
    listen: { host: "127.0.0.1", port: 0 },
    routes: [{ path: "/", service: "api" }],
    clock: systemClock,
    seam: new Seam(systemClock),
    // Mutants that stop in the middle are waited for no longer than this.
    limits: { headersMs: 100, requestMs: 100, checkMs: 20, keepAliveMs: 200 },
  });
  gateway.setEndpoints("api", [instance]);
  const random = seededRandom(3);
  const wrong: string[] = [];
  let refused = 0;
  for (let batch = 0; batch < 12; batch++) {
    const mutants = Array.from({ length: 50 }, () => mutant(random));
    await Promise.all(
      mutants.map(async (bytes) => {
        const { status, body } = await sendRaw(gateway.address.port, bytes);
        if (status >= 400 && status < 500) refused++;
        if (status === 0 || status >= 500)
          wrong.push(`${status} ${JSON.stringify(bytes.toString())} ${body}`);
      }),
    );
  }
  expect(wrong).toEqual([]);
  expect(refused).toBeGreaterThan(100);
  await gateway.close();
  await instance.close();
});
