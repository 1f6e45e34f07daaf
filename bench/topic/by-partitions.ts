/** Published/s and delivered/s by the number of partitions, in turns, so that a busy spell hits all of them alike. */
import type { Random } from "holdfast/clock";
import type { DatabaseNodes } from "holdfast/postgres";
import { type BenchSize, type Figure, median } from "../bench.ts";
import { deliveredPerSecond, openFlow, publishedPerSecond } from "./flow.ts";

const partitionCounts = [1, 8, 32];
const inFlight = 64;

export async function byPartitions(nodes: DatabaseNodes, size: BenchSize, random: Random): Promise<Figure[]> {
  const rounds = size === "smoke" ? 1 : 5;
  const messages = size === "smoke" ? 500 : 20_000;
  const measured = partitionCounts.map((partitions) => ({
    partitions,
    published: [] as number[],
    delivered: [] as number[],
  }));
  for (let round = 0; round < rounds; round++) {
    for (const { partitions, published, delivered } of measured) {
      const flow = openFlow(`by-${partitions}-${round}`, partitions, nodes, random);
      try {
        published.push(await publishedPerSecond(flow, messages, inFlight));
        delivered.push(await deliveredPerSecond(messages, () => flow.consume("reader")));
      } finally {
        await flow.close();
      }
    }
  }
  return measured.flatMap(({ partitions, published, delivered }): Figure[] => {
    const unit = "messages/s";
    const of = `${partitions} partition${partitions === 1 ? "" : "s"}`;
    return [
      { name: `publish, ${of}`, unit, value: median(published), better: "higher" },
      { name: `deliver, ${of}`, unit, value: median(delivered), better: "higher" },
    ];
  });
}
