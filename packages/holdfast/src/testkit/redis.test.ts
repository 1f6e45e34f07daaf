import { expect, test } from "vitest";
import { nothingIsLeft, seen, startServersElsewhere } from "./leftovers-testing.ts";
import { startTestRedis } from "./redis.ts";
import { leaderPorts } from "./redis-cluster.ts";
import { until } from "./wait.ts";

test("sentinels replace a primary that is killed, and it comes back as a replica", async () => {
  await using redis = await startTestRedis({ replicas: 2, sentinels: 3 });
  const [killed] = await redis.leaders();
  expect(killed).toBe(redis.members[0]);
  await killed.command("set", "a", "1");
  expect(await killed.command("wait", "2", "2000")).toBe("2");
  await killed.kill();
  const [next] = await redis.leaders();
  expect(next).not.toBe(killed);
  await next.command("set", "b", "2");
  await killed.restart();
  await until(async () => (await killed.command("info", "replication")).includes("role:slave"), {
    what: "the old primary as a replica",
  });
  const copied = () => killed.command("get", "b").then((value) => value === "2");
  await until(copied, { what: "the new primary's data on the old one" });
  expect(await killed.command("get", "a")).toBe("1");
});

test("three primaries in a cluster share the keys, and wrong commands say what is wrong", async () => {
  await using redis = await startTestRedis({ primaries: 3, cluster: true });
  const leaders = await redis.leaders();
  expect(leaders).toEqual(redis.members);
  const answers = await Promise.allSettled(leaders.map((leader) => leader.command("set", "a", "1")));
  expect(answers.filter((answer) => answer.status === "fulfilled")).toHaveLength(1);
  await expect(leaders[0].command("nonsense")).rejects.toThrow("unknown command");
});

test("a restarted server has what it acknowledged; a paused one answers nothing until it goes on", async () => {
  await using redis = await startTestRedis({ settings: { maxmemory: "50mb" } });
  const [only] = await redis.leaders();
  await only.command("set", "a", "1");
  await only.kill();
  await expect(only.pause()).rejects.toThrow("does not run");
  await only.restart();
  expect(await only.command("get", "a")).toBe("1");
  expect(await only.command("config", "get", "maxmemory")).toContain(String(50 << 20));
  await only.pause();
  expect(only.running).toBe(true);
  await expect(only.command("get", "a")).rejects.toThrow();
  await only.resume();
  expect(await only.command("get", "a")).toBe("1");
  await only.pause();
  await only.stop(); // also a paused one
  expect(only.running).toBe(false);
});

test("independent primaries and clusters at once leave nothing behind", async () => {
  const clusters = await Promise.all([startTestRedis({ primaries: 3 }), startTestRedis({ onDisk: true })]);
  const members = clusters.flatMap((cluster) => cluster.members);
  expect(new Set(members.map((member) => member.port)).size).toBe(4);
  await members[0]?.command("set", "a", "1");
  expect(await Promise.all(members.map((member) => member.command("get", "a")))).toEqual(["1", "", "", ""]);
  const left = await seen(members.map((member) => member.pid));
  await Promise.all(clusters.flatMap((cluster) => [cluster.stop(), cluster.stop()]));
  await nothingIsLeft(left);
});

test("a test process that is killed takes its servers with it", async () => {
  const { victim, left } = await startServersElsewhere("./redis.ts", "startTestRedis", "{ replicas: 1 }");
  await using _ = victim;
  expect(left.processes).toHaveLength(2);
  await victim.kill();
  await nothingIsLeft(left);
});

test("options that fit no shape are refused, all problems at once", async () => {
  await expect(startTestRedis({ primaries: 0, replicas: -1, sentinels: 1.5 })).rejects.toThrow(
    /primaries should be 1 or more, got 0; replicas should be 0 or more, got -1; sentinels should be 0 or more, got 1.5/,
  );
  await expect(startTestRedis({ cluster: true, sentinels: 3 })).rejects.toThrow(
    /a cluster needs primaries: 3 or more, got 1; a cluster elects by itself/,
  );
  await expect(startTestRedis({ primaries: 2, replicas: 1 })).rejects.toThrow("set cluster: true");
});

test("who owns slots is read from the cluster's own words", () => {
  const nodes = [
    "aa 127.0.0.1:7001@17001 myself,master - 0 0 1 connected 0-5460",
    "bb 127.0.0.1:7002@17002 master,fail - 0 0 2 disconnected 5461-10922",
    "cc 127.0.0.1:7003@17003,host master - 0 0 7 connected",
    "dd 127.0.0.1:7004@17004 slave aa 0 0 1 connected",
    "ee 127.0.0.1:7005@17005 master,fail? - 0 0 3 connected 10923-16383",
    "",
  ].join("\n");
  expect(leaderPorts(nodes)).toEqual([7001, 7005]);
});
