/**
 * The peer: the redirect as one would write it by hand, on fastify, lru-cache and pg. It commits its click
 * before it answers, with a prepared statement on a pool of ten connections.
 */
import fastify from "fastify";
import { LRUCache } from "lru-cache";
import pg from "pg";
import type { ServerStart } from "./server-process.ts";

process.once("message", async ({ endpoint }: ServerStart) => {
  const pool = new pg.Pool({ ...endpoint, max: 10 });
  const links = new LRUCache<string, { url: string; status: number }>({ max: 100_000, ttl: 600_000 });
  const app = fastify({ logger: false });

  app.get<{ Params: { code: string } }>("/:code", async (request, reply) => {
    const { code } = request.params;
    let link = links.get(code);
    if (!link) {
      const { rows } = await pool.query({
        name: "link",
        text: "select url, status from link where code = $1 and not disabled",
        values: [code],
      });
      link = rows[0];
      if (!link) return reply.code(404).send({ error: "not found" });
      links.set(code, link);
    }
    await pool.query({
      name: "click",
      text: "insert into click (code, at, referrer, user_agent) values ($1, now(), $2, $3)",
      values: [code, request.headers.referer ?? "", request.headers["user-agent"] ?? ""],
    });
    return reply.header("cache-control", "no-store").redirect(link.url, link.status);
  });

  const address = await app.listen({ host: "127.0.0.1", port: 0 });
  process.send?.({ port: Number(new URL(address).port) });
});
