/** What a diagram says of a part: its name, how many of it, how many copies. */
import { formatValue } from "../format.ts";
import type { GraphNode } from "./graph.ts";

/** @param size of a part; callers have none */
export function nodeLabel(
  { id, kind }: GraphNode,
  size: { readonly count: number; readonly replicas: number; readonly inProcess: boolean } | undefined,
): string {
  if (!size) return id.replace(/ \(caller\)$/, "");
  if (size.inProcess) return `${id}\n${kind} in each process`;
  const { count, replicas } = size;
  const copies = replicas > 0 ? `, ${replicas} replica${replicas === 1 ? "" : "s"} each` : "";
  return `${id}\n${formatValue(count, "count")} ${count === 1 ? kind : plurals[kind]}${copies}`;
}

const plurals: Readonly<Record<GraphNode["kind"], string>> = {
  caller: "callers",
  gateway: "gateways",
  service: "services",
  worker: "workers",
  database: "nodes",
  cache: "cache nodes",
  topic: "topic nodes",
  queue: "queue nodes",
  bucket: "buckets",
  cdn: "CDNs",
  search: "search nodes",
  external: "externals",
};
