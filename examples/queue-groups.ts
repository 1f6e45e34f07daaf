/**
 * A queue that many tenants share: each one's jobs take turns with the others', two of a tenant run at once at most, and
 * a report that a tenant asked for twice is made once. And one whose jobs of an account run in order.
 *
 *   node examples/queue-groups.ts
 */
import { installWorld, World } from "holdfast";
import { systemClock as clock } from "holdfast/clock";
import { installFramework, openDatabaseNodes, postgresQueue } from "holdfast/postgres";
import { type ClaimedJob, type QueuePort, queue } from "holdfast/queue";
import { startTestPostgres } from "holdfast/testkit";
import * as v from "valibot";

const Report = v.object({ tenant: v.string(), month: v.string() });
const reports = queue("reports", {
  schema: Report,
  group: { by: (report) => report.tenant, concurrencyMax: 2 },
});
const Payment = v.object({ account: v.string(), cents: v.number() });
const payments = queue("payments", {
  schema: Payment,
  group: { by: (payment) => payment.account, ordered: true },
});

await using postgres = await startTestPostgres();
const nodes = openDatabaseNodes(postgres.config, { clock, applicationName: "example" });
await installFramework(nodes);
const world = new World("example", clock);
const engines = [reports, payments].map((part) => {
  const engine = postgresQueue(part as never, nodes, clock);
  world.bind(part as never, engine as never);
  return engine;
});
installWorld(world);
const [reporting, paying] = engines as unknown as [QueuePort, QueuePort];

// What a worker does: \`worker("reporter", { from: reports, … })\` does it for you.
const bytesMax = 1 << 20;
const shown = (jobs: readonly ClaimedJob[]) =>
  jobs.map(({ group, value }) => `${group} ${JSON.stringify(value)}`);
const member = await reporting.join("reporter", "reporter-1@a", 30_000);

await reports.enqueueMany(
  Array.from({ length: 1_000 }, (_, n) => ({ value: { tenant: "whale", month: `${n}` } })),
);
await reports.enqueue({ tenant: "minnow", month: "may" });
const jobs = await reporting.claim(member, 10, bytesMax);
console.log("begun:  ", shown(jobs).join(", "));
console.log("counts: ", JSON.stringify({ ...(await reports.counts()), oldestWaitingMs: undefined }));
console.log(
  "no more:",
  (await reporting.claim(member, 10, bytesMax)).length,
  "of a tenant that has two under way",
);

const first = await reports.enqueue({ tenant: "cod", month: "may" }, { unique: "cod/may" });
const second = await reports.enqueue({ tenant: "cod", month: "may" }, { unique: "cod/may" });
console.log("unique: ", first.isNew, second.isNew, first.id === second.id);

const payer = await paying.join("payer", "payer-1@a", 30_000);
for (const cents of [100, -30, 5]) await payments.enqueue({ account: "a-1", cents });
const [head] = await paying.claim(payer, 10, bytesMax);
if (!head) throw new Error("there is no payment");
const failure = { code: "ERROR", message: "the bank is away", outcome: "not-applied" } as const;
await paying.finish(payer, [{ job: head, end: { kind: "retry", afterMs: 0, failure } }]);
const [again] = await paying.claim(payer, 10, bytesMax);
console.log(
  "order:  ",
  shown([head]).join(),
  "and after its failure again",
  shown(again ? [again] : []).join(),
);

for (const engine of engines) await engine.close();
await nodes.close();
