/** Our gateway, as a process: argument 1 is the upstream's port. */

import { Seam } from "holdfast/call";
import { systemClock } from "holdfast/clock";
import { startGateway } from "holdfast/edge";

const gateway = await startGateway({
  listen: { host: "127.0.0.1", port: 0 },
  routes: [{ path: "/", service: "api" }],
  clock: systemClock,
  seam: new Seam(systemClock),
});
gateway.setEndpoints("api", [{ id: "a", host: "127.0.0.1", port: Number(process.argv[2]) }]);
process.send?.({ port: gateway.address.port });
