import * as v from "valibot";
import { expect, test } from "vitest";
import { queueWorker } from "../worker/queue-worker.ts";
import { queue } from "./declare.ts";

const schema = v.object({ to: v.string() });

test("limits that are begun and not whole are told, all at once", () => {
  const half = { schema, group: { by: () => "a", rate: { count: 0 } }, rate: 5, priority: {} };
  expect(() => queue("mails", half as never)).toThrow(
    expect.objectContaining({
      code: "HOLDFAST_OPTIONS_INVALID",
      message: [
        'queue "mails": 5 problems',
        "  - group.rate.count should be a whole number from 1 to 1000000, got 0",
        "  - group.rate.perMs should be a whole number from 1000 to 86400000, got undefined",
        "  - rate.count should be a whole number from 1 to 1000000, got undefined",
        "  - rate.perMs should be a whole number from 1000 to 86400000, got undefined",
        "  - priority.agingMs should be a whole number from 1 to 86400000, got undefined",
      ].join("\n"),
    }),
  );
});

test("a worker of a queue refuses what only workers of a topic take, and says where it belongs", () => {
  const from = queue("mails", { schema });
  const load = async () => ({ default: async () => {} });
  const odd = { from, load, batch: 5, only: ["a"], retry: { attemptsMax: 3 } };
  expect(() => queueWorker("mailer", odd as never)).toThrow(
    expect.objectContaining({
      code: "HOLDFAST_OPTIONS_INVALID",
      message: [
        'worker "mailer": 3 problems',
        "  - batch is for workers of a topic; jobs of a queue come one by one, `concurrency` at a time",
        "  - only is for workers of a topic",
        "  - retry of jobs is an option of their queue: declare it there",
      ].join("\n"),
    }),
  );
});
