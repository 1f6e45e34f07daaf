/** A client's session, from its answer through the client and back: gateway and instance over real connections. */
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { currentCall, HoldfastError, type LogPosition, Seam } from "../call/index.ts";
import { systemClock } from "../clock/index.ts";
import { startGateway } from "./gateway.ts";
import { serveFetch } from "./serve.ts";
import {
  type GatewaySessionOptions,
  sessionFromCookie,
  sessionSeal,
  sessionSetCookie,
} from "./session-seal.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});
const seam = new Seam(systemClock);
const secret = Buffer.alloc(32, 7);
const at = (lsn: bigint): LogPosition => ({ system: "7", timeline: 1, lsn });

/** An instance that writes at `/write/LSN`, forgets at `/lost`, and answers what its call's session has written. */
async function system(sessions?: GatewaySessionOptions) {
  const respond = (request: Request): Response => {
    const session = currentCall()?.session;
    const [, verb, lsn] = new URL(request.url).pathname.split("/");
    const known = String(session?.get("n")?.written?.lsn ?? "nothing");
    if (verb === "write") session?.raise("n", at(BigInt(lsn ?? 0)), "written");
    if (verb === "lost") {
      session?.prune("n", () => false);
      throw new HoldfastError("HOLDFAST_WRITE_LOST", "It was lost. Do it again.");
    }
    return new Response(known);
  };
  const handler = { fetch: respond };
  const instance = await serveFetch({ name: "api", clock: systemClock, seam, handler });
  open.push(instance);
  const gateway = await startGateway({
    listen: { host: "127.0.0.1", port: 0 },
    routes: [{ path: "/", service: "api" }],
    clock: systemClock,
    seam,
    ...(sessions ? { sessions } : {}),
  });
  open.push(gateway);
  gateway.setEndpoints("api", [{ id: "api-1", host: instance.host, port: instance.port }]);
  const ask = async (path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`http://127.0.0.1:${gateway.address.port}${path}`, { headers });
    return {
      status: response.status,
      body: await response.text(),
      token: response.headers.get("holdfast-session"),
      cookies: response.headers.getSetCookie(),
    };
  };
  return { gateway, ask };
}

test("what a client wrote it knows in its next request, when it sends back what it was handed", async () => {
  const { ask } = await system({ secret });
  const wrote = await ask("/write/5");
  expect(wrote).toMatchObject({ body: "nothing", cookies: [] });
  const read = await ask("/read", { "holdfast-session": wrote.token ?? "" });
  expect(read.body).toBe("5");
  // Nothing new, so nothing is handed out again.
  expect(read.token).toBeNull();
  const later = await ask("/write/9", { "holdfast-session": wrote.token ?? "" });
  expect((await ask("/read", { "holdfast-session": later.token ?? "" })).body).toBe("9");
  expect((await ask("/read")).body).toBe("nothing");
});

test("a browser carries it in a cookie, where the gateway says so", async () => {
  const { ask } = await system({ secret, cookie: true });
  const { cookies, token } = await ask("/write/5");
  expect(cookies).toEqual([`holdfast-session=${token}; Path=/; HttpOnly; SameSite=Lax`]);
  const cookie = `a=1; ${cookies[0]?.split(";")[0]}; b=2`;
  expect((await ask("/read", { cookie })).body).toBe("5");
  // The header wins, for programs that share a cookie jar.
  const other = await ask("/write/9");
  expect((await ask("/read", { cookie, "holdfast-session": other.token ?? "" })).body).toBe("9");
  const header = await system({ secret });
  expect((await header.ask("/read", { cookie })).body).toBe("nothing");
});

test("a token that this project has not sealed is ignored and counted", async () => {
  const { ask, gateway } = await system({ secret, cookie: true });
  const { token } = await ask("/write/5");
  const [plain = "", seal = ""] = (token ?? "").split(".");
  const foreign = sessionSeal(Buffer.alloc(32, 8)).seal(plain);
  const forged = [plain, foreign, `${plain}A.${seal}`, `${plain}.${seal}A`, `.${seal}`, "nonsense", "a.b.c"];
  for (const text of forged) expect((await ask("/read", { "holdfast-session": text })).body).toBe("nothing");
  expect((await ask("/read", { cookie: `holdfast-session=${foreign}` })).body).toBe("nothing");
  expect(gateway.stats().ignoredSessions).toBe(forged.length + 1);
});

test("a session whose knowledge was lost is told once, and then carries nothing", async () => {
  const { ask } = await system({ secret, cookie: true });
  const { token } = await ask("/write/5");
  const told = await ask("/lost", { "holdfast-session": token ?? "" });
  expect(told).toMatchObject({
    status: 409,
    token: "",
    cookies: ["holdfast-session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"],
  });
  expect(JSON.parse(told.body)).toMatchObject({ error: { code: "HOLDFAST_WRITE_LOST" } });
  expect((await ask("/read", { "holdfast-session": told.token ?? "" })).body).toBe("nothing");
});

test("without a secret, sessions end at the gateway, both ways", async () => {
  const { ask, gateway } = await system();
  const { token, cookies } = await ask("/write/5");
  expect([token, cookies]).toEqual([null, []]);
  const sealed = sessionSeal(secret).seal("AgFu");
  expect((await ask("/read", { "holdfast-session": sealed })).body).toBe("nothing");
  expect(gateway.stats().ignoredSessions).toBe(0);
});

test("a secret that could be guessed is refused", async () => {
  await expect(system({ secret: Buffer.alloc(16) })).rejects.toMatchObject({
    code: "HOLDFAST_OPTIONS_INVALID",
    message: expect.stringContaining("sessions.secret should have 32 bytes or more, got 16"),
  });
});

test("whatever is sealed opens again, and nothing that was changed does", () => {
  const token = fc.stringMatching(/^[A-Za-z0-9_-]{1,80}$/);
  const seal = sessionSeal(secret);
  fc.assert(
    fc.property(token, token, fc.nat(), (text, other, at) => {
      const sealed = seal.seal(text);
      expect(seal.open(sealed)).toBe(text);
      const where = at % sealed.length;
      const changed = `${sealed.slice(0, where)}${sealed[where] === "x" ? "y" : "x"}${sealed.slice(where + 1)}`;
      // The last character of base64url has bits that mean nothing.
      if (where < sealed.length - 1) expect(seal.open(changed)).toBeUndefined();
      if (other !== text) expect(seal.open(`${other}.${sealed.split(".")[1]}`)).toBeUndefined();
    }),
  );
});

test("one cookie of the name counts; two are none", () => {
  expect(sessionFromCookie("holdfast-session=a.b")).toBe("a.b");
  expect(sessionFromCookie("x=1;holdfast-session = a.b ; y")).toBe("a.b");
  expect(sessionFromCookie("my-holdfast-session=a.b")).toBeUndefined();
  expect(sessionFromCookie("holdfast-session=a; holdfast-session=b")).toBeUndefined();
  expect(sessionSetCookie("a.b", true)).toBe("holdfast-session=a.b; Path=/; HttpOnly; SameSite=Lax; Secure");
});
