/** The shortener's own API, served as an instance of the running system serves it, without the gateway. */
import { installWorld } from "holdfast";
import { systemClock } from "holdfast/clock";
import { serveFetch } from "holdfast/edge";
import { openWorld } from "holdfast/runtime";
import system from "../../systems/shortener/system.ts";
import type { ServerStart } from "./server-process.ts";

process.once("message", async ({ config }: ServerStart) => {
  const world = { name: "bench", databases: { links: config }, poolSize: 10 };
  const open = openWorld(system, world, { clock: systemClock, applicationName: "bench" });
  installWorld(open.world);
  const { default: handler } = await import("../../systems/shortener/api.ts");
  const served = await serveFetch({
    handler,
    name: "api",
    clock: systemClock,
    seam: open.world.seam,
  });
  process.send?.({ port: served.port });
});
