/**
 * Structured logs: what the parts report at the seam, with trace ids, without secrets; readable on a terminal,
 * lines of JSON elsewhere.
 *
 *   node examples/logs.ts
 *   node examples/logs.ts | cat
 */
import { Call, HoldfastError, inCall, Seam } from "holdfast/call";
import { systemClock as clock } from "holdfast/clock";
import { createLogger, logOperations, renderLogText, wantsColor } from "holdfast/observe";

const color = wantsColor(process.stdout, process.env);
const sink = (line: string) => console.log(process.stdout.isTTY ? renderLogText(line, { color }) : line);
const logger = createLogger({ clock, sink, level: "debug", fields: { instance: "api-1" } });

const seam = new Seam(clock);
const stop = logOperations(seam, logger, { slowMs: 20 });

const call = new Call(clock);
const write = (run: () => Promise<void>) =>
  inCall(call, () => seam.operation("database", "links", "write", call, run, { shard: 3 })).catch(() => {});
const fail = async () => {
  throw new HoldfastError("HOLDFAST_CONNECTION_LOST", "The connection broke after COMMIT was sent.");
};

await write(async () => {});
await write(() => clock.sleep(30));
for (let i = 0; i < 100; i++) await write(fail); // alike: five are written, then they are counted
stop();
logger.info("connecting", {
  url: "postgres://holdfast:hunter2@127.0.0.1/links",
  headers: { cookie: "sid=1" },
});
