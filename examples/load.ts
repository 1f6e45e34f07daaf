/**
 * Open-loop load: requests arrive whether or not the server keeps up, and latency counts from the intended
 * arrival. This server stands still for 300 ms; the percentiles show it.
 *
 *   node examples/load.ts
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { systemClock as clock } from "holdfast/clock";
import { loadPlan, loadTarget, progressLine, reportLines, runLoad } from "holdfast/load";

const stallFromMs = clock.monotonicMs() + 1_000;
const server = createServer((_, response) => {
  const intoMs = clock.monotonicMs() - stallFromMs;
  const waitMs = intoMs >= 0 && intoMs < 300 ? 300 - intoMs : 0;
  clock.timer(waitMs, () => response.end("ok"), { ref: true });
});
server.listen(0, "127.0.0.1");
await once(server, "listening");

const plan = loadPlan({
  mix: [
    { name: "read", weight: 9, request: ({ zipf }) => ({ path: `/pages/${zipf(1_000)}` }) },
    {
      name: "write",
      weight: 1,
      request: ({ random }) => ({ path: "/pages", json: { draw: random.next() } }),
    },
  ],
});
const report = await runLoad({
  plan,
  target: loadTarget(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, false),
  clock,
  ratePerSecond: 200,
  durationMs: 3_000,
  onSecond: (progress) => console.log(progressLine(progress)),
});
console.log(reportLines(report).join("\n"));
server.close();
