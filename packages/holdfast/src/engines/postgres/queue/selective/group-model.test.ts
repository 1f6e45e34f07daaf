/** What the server's functions choose is what the twin chooses, whatever comes before. */
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ClaimedJob, QueueOptions } from "../../../../parts/queue/index.ts";
import { startTestPostgres, type TestPostgres } from "../../../../testkit/index.ts";
import { GroupModel, type ModelRules } from "./group-model.ts";
import { bytesMax, job, type SelectiveHome, selectiveHome } from "./selective-testing.ts";

let postgres: TestPostgres;
let home: SelectiveHome;
beforeAll(async () => {
  postgres = await startTestPostgres();
  home = await selectiveHome(postgres);
});
afterAll(async () => {
  await home?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

type Step =
  | {
      readonly kind: "enqueue";
      readonly jobs: readonly { readonly group: string; readonly priority: number }[];
    }
  | { readonly kind: "claim"; readonly most: number }
  | { readonly kind: "end"; readonly which: number; readonly back: boolean };

const group = fc.constantFrom("a", "b", "c", "d");
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant("enqueue" as const),
      // One group a call: groups that become able in one commit stand in no order that anybody promises.
      jobs: group.chain((one) =>
        fc.array(fc.record({ group: fc.constant(one), priority: fc.integer({ min: -3, max: 3 }) }), {
          minLength: 1,
          maxLength: 6,
        }),
      ),
    }),
    fc.record({ kind: fc.constant("claim" as const), most: fc.integer({ min: 1, max: 9 }) }),
    fc.record({ kind: fc.constant("end" as const), which: fc.nat(30), back: fc.boolean() }),
  ),
  { minLength: 4, maxLength: 25 },
);

const cases: readonly (readonly [string, ModelRules, boolean])[] = [
  [
    "turns and priorities",
    { ordered: false, groupMax: undefined, queueMax: undefined, groupTokens: undefined },
    true,
  ],
  [
    "bounds of groups and of the queue",
    { ordered: false, groupMax: 2, queueMax: 5, groupTokens: undefined },
    true,
  ],
  ["order", { ordered: true, groupMax: 1, queueMax: undefined, groupTokens: undefined }, false],
  ["rates", { ordered: false, groupMax: 3, queueMax: undefined, groupTokens: 4 }, true],
];

let made = 0;
test.each(cases)("%s: the server chooses as the twin does", async (_, rules, priorities) => {
  const options: Partial<QueueOptions<never>> = {
    group: {
      by: () => "",
      ordered: rules.ordered,
      ...(rules.groupMax === undefined ? {} : { concurrencyMax: rules.groupMax }),
      ...(rules.groupTokens === undefined ? {} : { rate: { count: rules.groupTokens, perMs: 86_400_000 } }),
    },
    ...(rules.queueMax === undefined ? {} : { concurrencyMax: rules.queueMax }),
    ...(priorities ? { priority: { agingMs: 3_600_000 } } : {}),
  };
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const port = home.open(`model-${++made}`, options);
      const member = await port.join("w", "m@1", 600_000);
      const model = new GroupModel(rules);
      const held: ClaimedJob[] = [];
      let named = 0;
      for (const step of script) {
        if (step.kind === "enqueue") {
          const jobs = step.jobs.map((one) => ({ ...one, name: `j${named++}` }));
          model.enqueue(jobs);
          await port.enqueue(jobs.map(({ name, group, priority }) => job(name, { group, priority })));
        } else if (step.kind === "claim") {
          const expected = model.claim(step.most);
          const taken = await port.claim(member, step.most, bytesMax);
          expect(taken.map(({ value }) => value)).toEqual(expected);
          held.push(...taken);
        } else if (held.length > 0) {
          const [ended] = held.splice(step.which % held.length, 1) as [ClaimedJob];
          model.end(ended.value as string, step.back);
          const end = step.back
            ? ({ kind: "released" } as const)
            : ({ kind: "done", resultJson: undefined } as const);
          expect(await port.finish(member, [{ job: ended, end }])).toEqual([true]);
        }
      }
      await port.close();
    }),
    { numRuns: 25 },
  );
  expect(await home.rows("select d.* from holdfast.queue q, holdfast.selective_drift(q.id) d")).toEqual([]);
});
