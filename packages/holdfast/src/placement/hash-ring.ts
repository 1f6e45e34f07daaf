/**
 * A consistent hash ring: each node owns many points on a circle of hashes, a key belongs to the first point at
 * or after its own hash. A node that leaves gives only its own keys away, spread over all the others; one that
 * joins takes only what becomes its own.
 *
 * More points make the shares more even: their standard deviation is about 1/sqrt(points), so 10 % at 100
 * points and 3.2 % at 1000, paid in memory (8 bytes a point) and a slightly longer search.
 *
 * @see D. Karger et al., "Consistent Hashing and Random Trees", STOC 1997; G. DeCandia et al., "Dynamo", SOSP 2007
 */
import { keyHashParts } from "./key-hash.ts";

export interface HashRingOptions {
  /** Points of each node, 1 to 10_000. Default 160. All rings that should agree need the same number. */
  readonly pointsPerNode?: number;
}

export const hashRingDefaults = { pointsPerNode: 160 } as const satisfies HashRingOptions;

export interface HashRing {
  /** In the order of their names. */
  readonly nodes: readonly string[];
  /** The node that holds `key`. @throws {RangeError} when the ring has no node */
  nodeOf(key: string): string;
  /** The nodes that hold `count` copies of `key`: different ones, the holder first; all when there are fewer. */
  nodesOf(key: string, count: number): string[];
  /** A new ring with `node` in it. */
  with(node: string): HashRing;
  /** A new ring without `node`. */
  without(node: string): HashRing;
}

/** @throws {RangeError} when a name is empty or there twice, or `pointsPerNode` is out of range */
export function hashRing(nodes: readonly string[], options: HashRingOptions = {}): HashRing {
  const pointsPerNode = options.pointsPerNode ?? hashRingDefaults.pointsPerNode;
  if (!(Number.isInteger(pointsPerNode) && pointsPerNode >= 1 && pointsPerNode <= 10_000))
    throw new RangeError(`pointsPerNode should be a whole number from 1 to 10000, got ${pointsPerNode}`);
  // Sorted, so that whoever knows the same nodes has the same ring, whatever order they were named in.
  const names = [...nodes].sort(byName);
  names.forEach((name, index) => {
    if (name === "") throw new RangeError("a node of a hash ring needs a name");
    if (name === names[index + 1]) throw new RangeError(`node "${name}" is there twice; keep one`);
  });

  const points = names.flatMap((name, owner) =>
    Array.from({ length: pointsPerNode }, (_, point) => ({ at: position(`${name}#${point}`), owner })),
  );
  points.sort((a, b) => a.at - b.at || a.owner - b.owner);
  const positions = Float64Array.from(points, ({ at }) => at);
  const owners = Uint32Array.from(points, ({ owner }) => owner);

  /** Index of the first point at or after the key's own position; past the last one comes the first. */
  const find = (key: string): number => {
    if (positions.length === 0) throw new RangeError("the hash ring has no node: add one first");
    const at = position(key);
    let from = 0;
    let to = positions.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((positions[middle] as number) < at) from = middle + 1;
      else to = middle;
    }
    return from === positions.length ? 0 : from;
  };

  return {
    nodes: names,
    nodeOf: (key) => names[owners[find(key)] as number] as string,
    nodesOf(key, count) {
      if (!(Number.isInteger(count) && count >= 0))
        throw new RangeError(`count should be a whole number of 0 or more, got ${count}`);
      const wanted = Math.min(count, names.length);
      const found: number[] = [];
      if (wanted === 0) return [];
      for (let index = find(key); found.length < wanted; index = (index + 1) % owners.length) {
        const owner = owners[index] as number;
        if (!found.includes(owner)) found.push(owner);
      }
      return found.map((owner) => names[owner] as string);
    },
    with: (node) => hashRing([...names, node], { pointsPerNode }),
    without: (node) =>
      hashRing(
        names.filter((name) => name !== node),
        { pointsPerNode },
      ),
  };
}

/** The upper 53 bits of the hash: as many as a number holds exactly. */
function position(text: string): number {
  const { high, low } = keyHashParts(text);
  return high * 2 ** 21 + (low >>> 11);
}

function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
