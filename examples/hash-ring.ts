/**
 * A consistent hash ring: a node that comes or goes moves its own keys only.
 *
 *   node examples/hash-ring.ts
 */
import { hashRing, keyHashModulo } from "holdfast/placement";

const keys = Array.from({ length: 100_000 }, (_, i) => `user-${i}`);
const nodes = Array.from({ length: 10 }, (_, i) => `node-${i}`);
const ring = hashRing(nodes);
console.log(
  "user-42 lives on",
  ring.nodeOf("user-42"),
  "with copies on",
  ring.nodesOf("user-42", 3).slice(1),
);

const wider = ring.with("node-10");
const moved = keys.filter((key) => ring.nodeOf(key) !== wider.nodeOf(key)).length;
const movedByModulo = keys.filter((key) => keyHashModulo(key, 10) !== keyHashModulo(key, 11)).length;
const percent = (count: number) => `${((100 * count) / keys.length).toFixed(1)} %`;
console.log(
  `from 10 to 11 nodes: the ring moves ${percent(moved)} of the keys, hash % N ${percent(movedByModulo)}`,
);

for (const pointsPerNode of [1, 10, 100, 1000]) {
  const shares = new Map<string, number>();
  const { nodeOf } = hashRing(nodes, { pointsPerNode });
  for (const key of keys) shares.set(nodeOf(key), (shares.get(nodeOf(key)) ?? 0) + 1);
  console.log(
    `${pointsPerNode} points a node: the fullest node has ${percent(Math.max(...shares.values()))}`,
  );
}
