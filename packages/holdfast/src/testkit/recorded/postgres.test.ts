/** The parts on embedded Postgres: one run of each workload, while servers crash, stand still and lag, and links break. */
import type { FaultPlan } from "../../faults/index.ts";
import { startTestPostgres } from "../postgres.ts";
import { postgresFaultTarget } from "../postgres-fault-target.ts";
import { recordedSuite } from "./conformance.ts";
import { postgresTarget } from "./target.ts";

const primary = { instance: "node-1/primary" };
const replica = { instance: "node-1/replica-1" };
const link = { link: { from: { instance: "clients" }, to: primary } };

const plan: FaultPlan = {
  lastsMs: 3_500,
  steps: [
    { fault: { kind: "kill" }, on: primary, atMs: 150, forMs: 300 },
    { fault: { kind: "pause" }, on: primary, atMs: 900, forMs: 250 },
    { fault: { kind: "replica-lag" }, on: replica, atMs: 1_400, forMs: 250 },
    { fault: { kind: "kill" }, on: replica, atMs: 1_900, forMs: 250 },
    { fault: { kind: "partition" }, on: link, atMs: 2_500, forMs: 300 },
    { fault: { kind: "reset", afterBytes: 3_000 }, on: link, atMs: 3_100, forMs: 300 },
  ],
};

recordedSuite({
  name: "embedded Postgres",
  seeds: [1],
  plan,
  leave: [
    "acknowledged messages have their effect once, and in order for each key", // deliveries.test.ts
    "transactions that ask for it are serializable", // postgres.deep.ts, over many seeds
  ],
  run: { operations: 40 },
  async open() {
    const postgres = await startTestPostgres({ replicas: 1, settings: { deadlock_timeout: "50ms" } });
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
