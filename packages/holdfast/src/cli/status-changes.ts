/** The part of `holdfast status` that says how far change feeds have read, and what keeps one from it. */
import type { SystemStatus } from "../runtime/status.ts";
import { duration, size, textTable } from "./table.ts";

export function changeLines(feeds: SystemStatus["changes"]): string[] {
  const rows = feeds.map((one) => [
    one.feed,
    `${one.database}.${one.table}`,
    one.node,
    one.state,
    one.lagBytes === undefined ? "" : size(one.lagBytes),
    one.lagMs === 0 ? "" : duration(one.lagMs),
    String(one.told),
    one.gaps === 0 ? "" : String(one.gaps),
  ]);
  const lines = textTable(["FEED", "TABLE", "NODE", "STATE", "BEHIND", "FOR", "TOLD", "GAPS"], rows);
  const troubled = feeds.filter(({ problem }) => problem !== undefined);
  if (troubled.length > 0)
    lines.push("", ...troubled.map(({ feed, node, problem }) => `${feed} of ${node}: ${problem}`));
  return lines;
}
