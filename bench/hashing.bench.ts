/** Placing keys. Every key is new to the ring in its round, because a cached answer says nothing of the ring. */
import HashRing from "hashring";
import { hashRing, jumpBucket, keyHash, keyHashModulo } from "holdfast/placement";
import type { Bench, Figure } from "./bench.ts";
import { nanosecondsEach, perSecond } from "./side-by-side.ts";

const nodes = Array.from({ length: 10 }, (_, i) => `node-${i}`);

const bench: Bench = {
  name: "hashing",
  title: "keys to nodes and shards, beside hashring and the same arithmetic in BigInt",
  async run(size, seed) {
    const rounds = size === "full" ? 7 : 1;
    const operations = size === "full" ? 100_000 : 10_000;
    // More keys than hashring's cache of 5000 holds, so that each is worked out again in every round.
    const keys = Array.from({ length: operations }, (_, i) => `user-${seed}-${i}`);
    const ring = hashRing(nodes);
    const peer = new HashRing(nodes);
    check(keys);

    const over = (place: (key: string) => unknown) => () => {
      let last: unknown;
      for (const key of keys) last = place(key);
      return last;
    };
    const ns = await nanosecondsEach(
      { rounds, operations },
      {
        "ring, 10 nodes": over(ring.nodeOf),
        "hashring, 10 nodes": over((key) => peer.get(key)),
        "key hash modulo 32": over((key) => keyHashModulo(key, 32)),
        "key hash modulo 32 in BigInt": over((key) => Number(bigintHash(key) % 32n)),
        "jump hash, 32 buckets": over((key) => jumpBucket(key, 32)),
        "jump hash, 32 buckets in BigInt": over((key) => bigintJump(bigintHash(key), 32)),
      },
    );
    const figure = (name: keyof typeof ns, peerOf?: keyof typeof ns): Figure => ({
      name,
      unit: "keys/s",
      value: perSecond(ns[name]),
      better: "higher",
      ...(peerOf === undefined ? {} : { peer: peerOf }),
    });
    return {
      figures: [
        figure("ring, 10 nodes"),
        figure("hashring, 10 nodes", "ring, 10 nodes"),
        figure("key hash modulo 32"),
        figure("key hash modulo 32 in BigInt", "key hash modulo 32"),
        figure("jump hash, 32 buckets"),
        figure("jump hash, 32 buckets in BigInt", "jump hash, 32 buckets"),
      ],
      checked: `${operations} keys: hash and jump hash as in BigInt; an 11th node takes its own keys only, from both rings`,
    };
  },
};
export default bench;

function check(keys: readonly string[]): void {
  for (const key of keys) {
    if (keyHash(key) !== bigintHash(key)) throw new Error(`another hash for ${key}`);
    if (keyHashModulo(key, 32) !== Number(bigintHash(key) % 32n))
      throw new Error(`another remainder for ${key}`);
    if (jumpBucket(key, 32) !== bigintJump(bigintHash(key), 32)) throw new Error(`another bucket for ${key}`);
  }
  const [ring, wider] = [hashRing(nodes), hashRing([...nodes, "new"])];
  const [peer, peerWider] = [new HashRing(nodes), new HashRing([...nodes, "new"])];
  for (const key of keys) {
    const after = wider.nodeOf(key);
    if (after !== "new" && after !== ring.nodeOf(key)) throw new Error(`the ring moved ${key} needlessly`);
    const peerAfter = peerWider.get(key);
    if (peerAfter !== "new" && peerAfter !== peer.get(key))
      throw new Error(`hashring moved ${key} needlessly`);
  }
}

const mask = (1n << 64n) - 1n;
const encoder = new TextEncoder();

function bigintHash(key: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of encoder.encode(key)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & mask;
  hash ^= hash >> 33n;
  hash = (hash * 0xff51afd7ed558ccdn) & mask;
  hash ^= hash >> 33n;
  hash = (hash * 0xc4ceb9fe1a85ec53n) & mask;
  return hash ^ (hash >> 33n);
}

function bigintJump(key: bigint, buckets: number): number {
  let seed = key;
  let bucket = -1;
  for (let next = 0; next < buckets; ) {
    bucket = next;
    seed = (seed * 2862933555777941757n + 1n) & mask;
    next = Math.floor((bucket + 1) * (2 ** 31 / Number((seed >> 33n) + 1n)));
  }
  return bucket;
}
