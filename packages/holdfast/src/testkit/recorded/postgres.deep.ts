/** The parts on embedded Postgres, two nodes, and on Debian's 15: faults of all kinds, drawn from seeds. Deep: minutes. */
import type { FaultPlan, Whom } from "../../faults/index.ts";
import { startTestPostgres, type TestPostgresOptions } from "../postgres.ts";
import { postgresFaultTarget } from "../postgres-fault-target.ts";
import { recordedSuite } from "./conformance.ts";
import { postgresTarget } from "./target.ts";

const shapes: Readonly<Record<string, TestPostgresOptions & { readonly nodes: number }>> = {
  "embedded Postgres": { nodes: 2 },
  "Debian's Postgres 15": { nodes: 1, major: 15 },
};

function planFor(nodes: number): FaultPlan {
  const names = (server: string) =>
    Array.from({ length: nodes }, (_, index) => `node-${index + 1}/${server}`);
  const primaries = names("primary").map((instance): Whom => ({ instance }));
  const replicas = names("replica-1").map((instance): Whom => ({ instance }));
  const links = [...names("primary"), ...names("replica-1")].map(
    (instance): Whom => ({ link: { from: { instance: "clients" }, to: { instance } } }),
  );
  return {
    lastsMs: 12_000,
    drawn: {
      forMs: { min: 300, max: 1_000 },
      restMs: { min: 100, max: 400 },
      faults: [
        { fault: { kind: "kill" }, on: [...primaries, ...replicas], weight: 3 },
        { fault: { kind: "pause" }, on: [...primaries, ...replicas], weight: 2 },
        { fault: { kind: "replica-lag" }, on: replicas, weight: 2 },
        { fault: { kind: "partition" }, on: links, weight: 2 },
        { fault: { kind: "partition", direction: "back" }, on: links },
        { fault: { kind: "blackhole" }, on: links },
        { fault: { kind: "reset" }, on: links },
        { fault: { kind: "reset", afterBytes: 5_000 }, on: links, weight: 2 },
        { fault: { kind: "latency", delayMs: 20, jitterMs: 15 }, on: links },
      ],
    },
  };
}

for (const [name, shape] of Object.entries(shapes)) {
  // A short deadline makes unknown outcomes, a long one makes retries.
  for (const operationMs of [400, 10_000]) {
    recordedSuite({
      name: `${name}, ${operationMs} ms an operation`,
      seeds: [11, 12],
      plan: planFor(shape.nodes),
      run: { operationMs },
      async open() {
        const settings = { deadlock_timeout: "50ms" };
        const postgres = await startTestPostgres({ replicas: 1, settings, ...shape });
        const faulty = await postgresFaultTarget(postgres);
        return {
          target: postgresTarget({ postgres, through: faulty.through }),
          faultTarget: faulty.target,
          async close() {
            await faulty.close();
            await postgres.stop();
          },
        };
      },
    });
  }
}
