/**
 * The server of one service instance, without a system: a Hono app, calls from headers, errors as answers.
 *
 *   node examples/service.ts
 */

import { currentCall, HoldfastError, Seam } from "holdfast/call";
import { systemClock as clock } from "holdfast/clock";
import { serveFetch } from "holdfast/edge";
import { errorResponse } from "holdfast/service";
import { Hono } from "hono";

const app = new Hono();
// Hono catches what its handlers throw; this hands it to Holdfast's table of statuses.
app.onError((error) => errorResponse(error));
app.get("/time-left", (c) => c.json({ ms: Math.round(currentCall()?.remainingMs() ?? 0) }));
app.get("/slow", async (c) => {
  // Whatever takes the call's signal stops with it.
  await clock.sleep(60_000, currentCall()?.signal);
  return c.text("never");
});
app.post("/links", () => {
  throw new HoldfastError("HOLDFAST_INPUT_INVALID", "url should begin with http:// or https://.", {
    data: { field: "url" },
  });
});

const seam = new Seam(clock);
seam.observe({
  end: ({ attributes, durationMs, outcome }) =>
    console.log(`  seam: ${attributes.path} ${attributes.status} ${outcome}, ${Math.round(durationMs)} ms`),
});

const instance = await serveFetch({ name: "api", handler: app, clock, seam, timeoutMs: 2000 });
const url = `http://${instance.host}:${instance.port}`;

const show = async (path: string, init: RequestInit = {}) => {
  const response = await fetch(url + path, init);
  const mark = response.headers.get("holdfast-outcome") ?? "unknown";
  console.log(`${path} → ${response.status}${response.ok ? "" : ` (${mark})`} ${await response.text()}`);
};
await show("/time-left");
await show("/time-left", { headers: { "holdfast-deadline": "250" } });
await show("/links", { method: "POST" });
await show("/slow", { headers: { "holdfast-deadline": "200" } });
await show("/time-left", { headers: { "holdfast-deadline": "0" } });
await show("/.holdfast/health");

await instance.drain(1000);
console.log("drained");
