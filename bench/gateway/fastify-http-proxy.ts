/** @fastify/http-proxy, as its README has it: argument 1 is the upstream's port. */
import proxy from "@fastify/http-proxy";
import fastify from "fastify";

const app = fastify();
await app.register(proxy, {
  upstream: `http://127.0.0.1:${process.argv[2]}`,
  undici: { connections: 128, pipelining: 1 },
});
const url = await app.listen({ host: "127.0.0.1", port: 0 });
process.send?.({ port: Number(new URL(url).port) });
