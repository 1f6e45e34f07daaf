import { expect, test } from "vitest";
import { transactions } from "../fixtures/transactions.ts";
import type { HistoryEvent } from "../history/event.ts";
import { checkTransactions } from "../transactions/check-transactions.ts";
import type { CheckResult, Witness } from "../verdict.ts";
import { faultBands } from "./fault-bands.ts";
import { verdictHtml, verdictJson, verdictWords } from "./index.ts";

const skew = checkTransactions(
  "list-append",
  transactions("+0 r x [], append y 1", "+1 r y [], append x 1", "-0", "-1"),
);

function fault(f: string, timeNs: number, type: HistoryEvent["type"] = "info"): HistoryEvent {
  return { index: 0, type, process: "nemesis", f, value: null, timeNs };
}

test("in words: the verdict, what is wrong, and why, step by step", () => {
  expect(verdictWords(skew)).toEqual([
    "illegal: 2 operations contradict list-append.",
    "",
    "G2-item: 2 transactions each have to come before the next, in a circle, T1 → T2 → T1: reads that missed each other's writes.",
    "  1. T1 is process 0: read x [], append y 1.",
    "  2. T2 is process 1: read y [], append x 1.",
    "  3. T1 has to come before T2 (rw): T1 read x while nothing was in it, and so before T2 wrote 1.",
    "  4. T2 has to come before T1 (rw): T2 read y while nothing was in it, and so before T1 wrote 1.",
    "",
    "judged by: strict-serializable",
    "found: G2-item",
    "not repeatable-read; at most update-serializable, strong-snapshot-isolation",
  ]);
});

test("as JSON: what was said can be read back", () => {
  expect(JSON.parse(verdictJson(skew))).toEqual(JSON.parse(JSON.stringify(skew)));
});

test("a page has a picture for each contradiction, up to ten, and says how many more there are", () => {
  const many: CheckResult = {
    ...skew,
    witnesses: Array.from({ length: 13 }, () => skew.witnesses[0] as Witness),
  };
  const page = verdictHtml(many);
  expect(page.match(/<svg /g)).toHaveLength(10);
  expect(page).toContain("and 3 more like these.");
  expect(page.match(/class="edge rw"/g)?.length).toBe(10 * 2 * 2);
});

test("values of a history cannot become markup, nor write over a terminal", () => {
  const evil = `<script>alert(1)</script>"'\u001b[2J`;
  const operation = {
    process: evil,
    label: evil,
    outcome: "info" as const,
    callIndex: 0,
    startNs: 0,
    involved: true,
  };
  const edges = [{ from: 0, to: 0, kind: evil, why: evil }];
  const witness: Witness = { anomaly: evil, summary: evil, steps: [evil], operations: [operation], edges };
  const result: CheckResult = {
    verdict: "illegal",
    model: evil,
    witnesses: [witness],
    operations: 1,
    notes: [evil],
  };
  const page = verdictHtml(result, { title: evil, faults: [fault(evil, 0)] });
  expect(page).not.toContain("<script");
  expect(page).not.toContain("\u001b");
  expect(page).toContain("default-src 'none'");
  expect(verdictWords(result).join("")).not.toContain("\u001b");
});

test("a fault lasts from its beginning until its end is confirmed, or for good", () => {
  const events = [
    fault("start-partition", 10),
    fault("stop-partition", 50, "invoke"),
    fault("stop-partition", 60),
    fault("kill", 70),
  ];
  expect(faultBands(events)).toEqual([
    { label: "nemesis: partition", startNs: 10, endNs: 60 },
    { label: "nemesis: kill", startNs: 70, endNs: Number.POSITIVE_INFINITY },
  ]);
  const page = verdictHtml(skew, { faults: [fault("start-partition", 1_000), fault("stop", 2_000)] });
  expect(page).toContain("nemesis: partition");
});
