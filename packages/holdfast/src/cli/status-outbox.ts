/** The part of `holdfast status` that says what was published in transactions and waits to be moved on. */
import { outboxLateMs, overdueOutbox, overdueText } from "../runtime/outbox-late.ts";
import type { OutboxStatus } from "../runtime/status.ts";
import { duration, size, textTable } from "./table.ts";

/** As many as are counted; there may be more. */
const countedMax = 10_000;

/** Nothing while nobody publishes in transactions. */
export function outboxLines(outbox: readonly OutboxStatus[]): string[] {
  const rows = outbox.flatMap(({ database, node, bytes, routes }) =>
    routes.map(({ destination, state, waiting, oldestMs, held }) => [
      database,
      node,
      destination,
      state === "moving" ? `${waiting}${waiting >= countedMax ? "+" : ""}` : state,
      waiting === 0 ? "" : duration(oldestMs) + (oldestMs >= outboxLateMs ? " (!)" : ""),
      held === 0 ? "" : String(held),
      bytes === undefined ? "" : size(bytes),
    ]),
  );
  if (rows.length === 0) return [];
  return [
    "",
    ...textTable(["DATABASE", "NODE", "OUTBOX FOR", "WAITING", "OLDEST", "HELD", "SIZE"], rows),
    ...overdueOutbox(outbox).map((one) => `  ${overdueText(one, true)}`),
  ];
}
