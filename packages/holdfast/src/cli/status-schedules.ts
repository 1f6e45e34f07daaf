/** The schedules of a system, as `holdfast status` and `holdfast schedule` show them. */
import { isoTime } from "../clock/index.ts";
import type { ScheduleStatus } from "../runtime/status.ts";
import { textTable } from "./table.ts";

/** Pure. */
export function scheduleLines(schedules: readonly ScheduleStatus[]): string[] {
  const rows = schedules.map(({ name, rule, to, state, number, sentMs, nextMs }) => [
    name,
    rule,
    to,
    state,
    state === "unknown" ? "" : String(number),
    sentMs === undefined ? "" : second(sentMs),
    nextMs.map(second).join(", "),
  ]);
  const lines = textTable(["SCHEDULE", "RULE", "TO", "STATE", "SENT", "LAST", "NEXT"], rows);
  const ahead = schedules.filter(({ state }) => state === "ahead").map(({ name }) => name);
  if (ahead.length > 0) {
    lines.push(
      "",
      `The store's clock was set back after ${ahead.join(", ")} had sent: nothing is sent again before it has passed that instant. To go on from now, see docs/schedules.md.`,
    );
  }
  return lines;
}

/** ISO 8601 in UTC without milliseconds, where there are none. */
function second(ms: number): string {
  return isoTime(ms).replace(".000Z", "Z");
}
