/**
 * The gateway, without a system: two instances behind it, one of them killed in the middle of the load.
 *
 *   node examples/gateway.ts
 */
import { Seam } from "holdfast/call";
import { systemClock as clock } from "holdfast/clock";
import { serveFetch, startGateway } from "holdfast/edge";

const seam = new Seam(clock);
const instances = await Promise.all(
  ["a", "b"].map(async (id) => {
    const handler = {
      async fetch(request: Request) {
        await clock.sleep(5);
        return Response.json({ instance: id, requestId: request.headers.get("holdfast-request-id") });
      },
    };
    return { id, server: await serveFetch({ name: "api", handler, clock, seam }) };
  }),
);

const gateway = await startGateway({
  listen: { host: "127.0.0.1", port: 0 },
  routes: [{ path: "/", service: "api" }],
  clock,
  seam,
});
gateway.setEndpoints(
  "api",
  instances.map(({ id, server }) => ({ id, host: server.host, port: server.port })),
);
const url = `http://127.0.0.1:${gateway.address.port}`;

const answers: Record<string, number> = {};
const client = async () => {
  for (let i = 0; i < 50; i++) {
    const response = await fetch(url);
    const from = response.ok ? ((await response.json()) as { instance: string }).instance : response.status;
    answers[from] = (answers[from] ?? 0) + 1;
  }
};
const load = Promise.all(Array.from({ length: 8 }, client));
while (Object.values(answers).reduce((sum, count) => sum + count, 0) < 150) await clock.sleep(1);
await instances[0]?.server.close(); // cuts what it was doing, like a kill
await load;
console.log("400 requests, answered by:", answers);
console.log("attempts beyond the first:", gateway.stats().retries);

const refused = await fetch(`${url}/%2e%2e%2fetc/passwd`);
console.log("a path that climbs:", refused.status, await refused.text());
console.log("the system's own corner:", (await fetch(`${url}/.holdfast/health`)).status);

await gateway.drain(1000);
await instances[1]?.server.drain(1000);
