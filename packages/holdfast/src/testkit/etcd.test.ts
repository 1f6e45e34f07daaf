import { expect, test } from "vitest";
import { type EtcdMember, startTestEtcd } from "./etcd.ts";
import { nothingIsLeft, seen, startServersElsewhere } from "./leftovers-testing.ts";

const bytes = (text: string) => Buffer.from(text).toString("base64");

async function put(member: EtcdMember, key: string, value: string): Promise<void> {
  await member.call("kv/put", { key: bytes(key), value: bytes(value) });
}

async function get(member: EtcdMember, key: string): Promise<string | undefined> {
  const { kvs } = (await member.call("kv/range", { key: bytes(key) })) as { kvs?: { value: string }[] };
  const value = kvs?.[0]?.value;
  return value === undefined ? undefined : Buffer.from(value, "base64").toString();
}

test("three members elect a leader, replace one that is killed or stands still, and take it back", async () => {
  await using etcd = await startTestEtcd();
  const [first] = etcd.members as [EtcdMember];
  await put(first, "a", "1");
  const killed = await etcd.leader();
  await killed.kill();
  expect(killed.running).toBe(false);
  const next = await etcd.leader();
  expect(next).not.toBe(killed);
  await put(next, "a", "2");
  await killed.restart();
  expect(await get(killed, "a")).toBe("2"); // a linearizable read: it has joined again

  const paused = await etcd.leader();
  await paused.pause();
  const third = await etcd.leader();
  expect(third).not.toBe(paused);
  await put(third, "a", "3");
  await paused.resume();
  expect(await get(paused, "a")).toBe("3");
});

test("two clusters at once know nothing of each other and leave nothing behind", async () => {
  const clusters = await Promise.all([startTestEtcd(), startTestEtcd({ members: 1, onDisk: true })]);
  const members = clusters.flatMap((cluster) => cluster.members);
  expect(new Set(members.map((member) => member.port)).size).toBe(4);
  await put(clusters[0].members[0] as EtcdMember, "a", "1");
  expect(await get(clusters[1].members[0] as EtcdMember, "a")).toBeUndefined();
  await clusters[0].members[1]?.pause();
  const left = await seen(members.map((member) => member.pid));
  await Promise.all(clusters.flatMap((cluster) => [cluster.stop(), cluster.stop()]));
  await nothingIsLeft(left);
});

test("a test process that is killed takes its members with it", async () => {
  const { victim, left } = await startServersElsewhere("./etcd.ts", "startTestEtcd", "{}");
  await using _ = victim;
  expect(left.processes).toHaveLength(3);
  await victim.kill();
  await nothingIsLeft(left);
});
