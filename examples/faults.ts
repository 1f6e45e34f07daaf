/**
 * Faults: a plan that is data, drawn from a seed within bounds, run against real processes. Each fault counts only
 * once it is seen to work, and is undone whatever happens.
 *
 *   node examples/faults.ts
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { systemClock as clock } from "holdfast/clock";
import {
  type FaultMember,
  type FaultPlan,
  type FaultTarget,
  faultText,
  processTree,
  runFaults,
  schedule,
  startFaultProxy,
} from "holdfast/faults";

if (process.send) {
  // The server that is harmed: this same file, in a process of its own.
  const { createServer } = await import("node:http");
  const server = createServer((_, response) => response.end("hello"));
  server.listen(Number(process.argv[2]), "127.0.0.1", () => process.send?.(server.address()));
  process.on("disconnect", () => process.exit());
} else {
  const start = async (port: number) => {
    const child = fork(import.meta.filename, [String(port)]);
    const [address] = (await once(child, "message")) as [{ port: number }];
    return { child, port: address.port };
  };
  let { child, port } = await start(0);
  const server: FaultMember = {
    name: "server-1",
    part: "server",
    address: { host: "127.0.0.1", port },
    process: {
      pids: () => processTree(child.pid as number),
      async start() {
        if (child.exitCode === null && child.signalCode === null) return;
        ({ child, port } = await start(port));
      },
    },
  };
  const client: FaultMember = { name: "client" };
  await using proxy = await startFaultProxy({ to: { host: "127.0.0.1", port }, clock });
  const target: FaultTarget = {
    members: () => [server, client],
    role: async () => ["server-1"],
    link: (from, to) => (from === client && to === server ? { proxy } : undefined),
  };

  const link = { link: { from: { instance: "client" }, to: { role: "primary" } } } as const;
  const plan: FaultPlan = {
    lastsMs: 4_000,
    steps: [{ fault: { kind: "kill" }, on: { role: "primary" }, atMs: 0, forMs: 300 }],
    drawn: {
      faults: [
        { fault: { kind: "pause" }, on: [{ part: "server" }] },
        { fault: { kind: "partition" }, on: [link] },
        { fault: { kind: "latency", delayMs: 40, jitterMs: 10 }, on: [link], weight: 2 },
      ],
      forMs: { min: 200, max: 400 },
      restMs: { min: 300, max: 900 },
    },
  };
  const report = await runFaults({
    timeline: schedule(7, plan),
    target,
    clock,
    alive: async () =>
      (await fetch(`http://127.0.0.1:${proxy.port}/`, { signal: AbortSignal.timeout(500) })).text(),
  });
  for (const { fault, on, by, effect, undone } of report.faults) {
    console.log(
      `${faultText(fault)} on ${on}\n  by ${by.join(", ")}\n  seen: ${effect}\n  undone: ${undone}`,
    );
  }
  console.log(
    `alive ${report.aliveAfterMs?.toFixed(0)} ms after the last fault; problems: ${report.problems.join("; ") || "none"}`,
  );
  child.kill();
}
