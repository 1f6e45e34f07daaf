/** One instance of a service: opens the world, loads the service's module, serves it on a free loopback port. */
import { systemClock } from "../../clock/index.ts";
import { serveFetch } from "../../edge/index.ts";
import { logOperations } from "../../observe/index.ts";
import { installWorld } from "../../parts/index.ts";
import { loadService, loadSystem } from "../load-system.ts";
import { openWorld } from "../open-world.ts";
import { runChild } from "./channel.ts";

runChild("start-part", async (start, channel) => {
  const { logger } = channel;
  const system = await loadSystem(start.systemFile);
  const service = system.services.find(({ name }) => name === start.part);
  if (!service) throw new Error(`${start.systemFile} has no service "${start.part}" any more.`);
  const clock = systemClock;
  const open = openWorld(system, start.world, {
    clock,
    applicationName: `${system.name} ${start.instance}`,
    warn: (warning) => channel.send({ kind: "warning", warning }),
  });
  channel.onMessage((message) => {
    if (message.kind === "warn-again") open.warnAgain();
  });
  installWorld(open.world);
  logOperations(open.world.seam, logger);
  const handler = await loadService(service);
  const served = await serveFetch({
    handler,
    name: service.name,
    clock,
    seam: open.world.seam,
    maxBodyBytes: service.options.maxBodyBytes,
    timeoutMs: service.options.timeoutMs,
  });
  return {
    port: served.port,
    async drain(graceMs) {
      // A little is kept for closing connections, so that the grace as a whole holds.
      const untilMs = clock.monotonicMs() + graceMs * 0.8;
      await served.drain(graceMs * 0.6);
      await handler.drain?.(Math.max(0, untilMs - clock.monotonicMs()));
      await open.close();
    },
  };
});
