/**
 * Planning a design without code: what it takes, what gives way first, and at which load. `holdfast plan` does the
 * same for a file or a system, and draws it.
 *
 *   node examples/plan.ts
 */
import { makePlan, planLines, readRequirements, requirements, shippedCapacities } from "holdfast/plan";

const design = requirements({
  name: "guest-book",
  summary: "Entries that are written once and read often",
  dailyUsers: ["50 k", "100 k", "1 M"],
  operations: {
    sign: { does: "write", perUserPerDay: 0.1, requestBytes: "1 kB", idempotent: "by-key" },
    read: {
      does: "read",
      perOperation: { of: "sign", ratio: "100:1" },
      responseBytes: "20 kB",
      p99Ms: "200 ms",
    },
  },
  data: { entries: { in: "store", itemBytes: "1 kB", growsWith: "sign", durability: "critical" } },
  parts: {
    edge: { kind: "gateway" },
    api: { kind: "service", instances: 1 },
    store: { kind: "database", replicas: 1 },
  },
});

const plan = makePlan(readRequirements(design), { capacity: shippedCapacities });
console.log(planLines(plan, { color: false, columns: 110 }).slice(0, 40).join("\n"));

const stored = plan.estimates.find(({ id }) => id === "data.entries.stored-at-horizon");
console.log(`\n${stored?.title}: ${stored?.how} = ${Math.round((stored?.mid ?? 0) / 1e9)} GB`);
