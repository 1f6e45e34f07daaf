/**
 * Planning a large design: 200 parts, 500 operations. There is no peer that plans from the same declaration, so
 * there is no ratio; the aim is under a second.
 */
import type { Requirements } from "holdfast";
import { seededRandom } from "holdfast/clock";
import { makePlan, type Plan, planJson, planLines, readRequirements, shippedCapacities } from "holdfast/plan";
import type { Bench } from "./bench.ts";
import { nanosecondsEach } from "./side-by-side.ts";

const partsCount = 200;
const operationsCount = 500;

const bench: Bench = {
  name: "plan",
  title: "a plan of 200 parts and 500 operations; nobody else plans from such a declaration",
  async run(size, seed) {
    const design = largeDesign(seed);
    const requirements = readRequirements(design);
    const plan = makePlan(requirements, { capacity: shippedCapacities });
    const checked = check(plan);
    const ns = await nanosecondsEach(
      { rounds: size === "full" ? 7 : 1, operations: 1 },
      {
        "requirements read, planned and printed": () =>
          planLines(makePlan(readRequirements(design), { capacity: shippedCapacities }), { color: false }),
        "requirements read and checked": () => readRequirements(design),
        planned: () => makePlan(requirements, { capacity: shippedCapacities }),
        "as text": () => planLines(plan, { color: false }),
        "as JSON": () => planJson(plan),
      },
    );
    return {
      figures: Object.entries(ns).map(([name, value]) => ({
        name,
        unit: "ms",
        value: value / 1e6,
        better: "lower" as const,
      })),
      checked,
    };
  },
};
export default bench;

/** Forty groups of a service, a cache, a database, a topic and a worker; operations go through one or two of them. */
function largeDesign(seed: number): Requirements {
  const random = seededRandom(seed);
  const groups = partsCount / 5;
  const pick = (count: number) => Math.floor(random.next() * count);
  const parts = Object.fromEntries(
    Array.from({ length: groups }, (_, g) => [
      [`api-${g}`, { kind: "service" as const }],
      [`hot-${g}`, { kind: "cache" as const }],
      [`store-${g}`, { kind: "database" as const, replicas: 1 }],
      [`log-${g}`, { kind: "topic" as const, limit: 1_000_000 }],
      [`work-${g}`, { kind: "worker" as const, from: `log-${g}` }],
    ]).flat(),
  );
  const operations = Object.fromEntries(
    Array.from({ length: operationsCount }, (_, index) => {
      const [g, other] = [pick(groups), pick(groups)];
      const writes = index % 5 === 0;
      return [
        `op-${index}`,
        {
          does: writes ? ("write" as const) : ("read" as const),
          ratePerSecond: [1, 1 + pick(50), 200] as const,
          idempotent: "by-key" as const,
          path: writes
            ? [`api-${g}`, `store-${g}`, `log-${g}`, { part: `work-${g}`, async: true }]
            : [
                `api-${g}`,
                `hot-${g}`,
                { part: `store-${g}`, onMissOf: `hot-${g}` },
                `api-${other}`,
                { part: `store-${other}`, calls: 3 },
              ],
        },
      ];
    }),
  );
  const data = Object.fromEntries(
    Array.from({ length: groups }, (_, g) => [
      `rows-${g}`,
      {
        in: `store-${g}`,
        itemBytes: "1 kB",
        itemsPerDay: [1_000, 10_000, 1_000_000] as const,
        hitRatio: 0.9,
      },
    ]),
  );
  return { name: "large", operations, parts, data };
}

/** Every part and operation is in it, and the rates of the operations are the rates of what they go through. */
function check({ architecture, latency, estimates }: Plan): string {
  if (architecture.parts.length !== partsCount) throw new Error(`${architecture.parts.length} parts`);
  if (latency.length !== operationsCount) throw new Error(`${latency.length} operations`);
  const mid = new Map(estimates.map(({ id, mid: value }) => [id, value]));
  const sum = (pattern: RegExp) =>
    [...mid].reduce((total, [id, value]) => (pattern.test(id) ? total + value : total), 0);
  const asked = architecture.paths.reduce(
    (total, { operation, steps }) =>
      total +
      steps.filter(({ part }) => part.startsWith("api-")).length *
        (mid.get(`operations.${operation}.peak-rate`) ?? 0),
    0,
  );
  const came = sum(/^parts\.api-\d+\.(reads|writes)$/);
  if (Math.abs(came / asked - 1) > 1e-9) throw new Error(`${came}/s came to services, ${asked}/s were sent`);
  return `${partsCount} parts, ${operationsCount} operations, ${estimates.length} estimates; what operations send to services is what comes to them`;
}
