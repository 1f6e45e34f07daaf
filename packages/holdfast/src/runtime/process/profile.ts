/**
 * A server to be measured, in a process of its own: `service`, which answers a small JSON object, or `gateway` in
 * front of the port that is the second argument. Told `usage`, it says how much processor time it has used.
 */
import { Seam } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import { serveFetch, startGateway } from "../../edge/index.ts";
import type { ProfileServerMessage } from "../profile/server.ts";

const [role, upstream] = process.argv.slice(2);
const say = (message: ProfileServerMessage) => void process.send?.(message);
process.on("disconnect", () => process.exit(0));
process.on("message", (message) => {
  if (message !== "usage") return;
  const { user, system } = process.cpuUsage();
  say({ kind: "usage", processorMs: (user + system) / 1_000 });
});

const seam = new Seam(systemClock);
if (role === "gateway") {
  const gateway = await startGateway({
    listen: { host: "127.0.0.1", port: 0 },
    routes: [{ path: "/", service: "api" }],
    clock: systemClock,
    seam,
  });
  gateway.setEndpoints("api", [{ id: "api-1", host: "127.0.0.1", port: Number(upstream) }]);
  say({ kind: "ready", port: gateway.address.port });
} else {
  const body = {
    code: "abcdefgh",
    url: "https://example.com/a/page?with=query",
    visits: 12,
    tags: ["one", "two"],
  };
  const served = await serveFetch({
    name: "api",
    handler: { fetch: () => Response.json(body) },
    clock: systemClock,
    seam,
  });
  say({ kind: "ready", port: served.port });
}
