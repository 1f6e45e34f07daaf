/** One process of the gateway: accepts from the inherited socket, hands requests to the ready instances. */
import { Seam } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import { startGateway } from "../../edge/gateway.ts";
import { logOperations } from "../../observe/index.ts";
import type { Endpoints } from "../messages.ts";
import { runChild } from "./channel.ts";

runChild("start-gateway", async (start, channel) => {
  const { gateway } = start;
  const seam = new Seam(systemClock);
  logOperations(seam, channel.logger);
  const running = await startGateway({
    listen: { fd: start.fd },
    routes: gateway.routes.map(({ path, to }) => ({ path, service: to })),
    name: gateway.name,
    timeoutMs: gateway.timeoutMs,
    ...(gateway.session === "off"
      ? {}
      : {
          sessions: {
            secret: Buffer.from(start.sessionSecret, "base64url"),
            cookie: gateway.session === "cookie",
          },
        }),
    clock: systemClock,
    seam,
  });
  const tell = (endpoints: Endpoints) => {
    for (const [service, list] of Object.entries(endpoints)) running.setEndpoints(service, list);
  };
  tell(start.endpoints);
  channel.onMessage((message) => {
    if (message.kind !== "endpoints") return;
    tell(message.endpoints);
    channel.send({ kind: "endpoints-taken", version: message.version });
  });
  return { drain: (graceMs) => running.drain(graceMs) };
});
