import { expect, test } from "vitest";
import { systemClock } from "../clock/index.ts";
import { type FaultPlan, runFaults, schedule } from "../faults/index.ts";
import { startTestEtcd } from "./etcd.ts";
import { testFaultTarget } from "./fault-target.ts";
import { until } from "./wait.ts";

test("faults happen to whoever leads, are seen to work, and leave a whole cluster behind", async () => {
  await using etcd = await startTestEtcd();
  const first = await etcd.leader();
  const pidsBefore = etcd.members.map((member) => member.pid);
  const plan: FaultPlan = {
    lastsMs: 3_000,
    steps: [
      { fault: { kind: "kill" }, on: { role: "leader" }, atMs: 0, forMs: 500 },
      { fault: { kind: "pause" }, on: { instance: "etcd-2" }, atMs: 2_500, forMs: 200 },
    ],
  };
  const report = await runFaults({
    timeline: schedule(1, plan),
    target: testFaultTarget({
      servers: etcd.members,
      part: "etcd",
      roles: { leader: async () => [await etcd.leader()] },
    }),
    clock: systemClock,
    alive: () => etcd.leader(),
  });
  expect(report.problems).toEqual([]);
  expect(report.faults.map(({ to, undone }) => [to, undone])).toEqual([
    [[first.name], true],
    [["etcd-2"], true],
  ]);
  const pids = etcd.members.map((member) => member.pid);
  expect(pids.filter((pid, index) => pid !== pidsBefore[index])).toEqual([first.pid]);
  expect(etcd.members.every((member) => member.running)).toBe(true);
});

test("starting a member that runs does nothing, and a dead one has no processes", async () => {
  await using etcd = await startTestEtcd({ members: 1 });
  const [only] = etcd.members;
  if (!only) throw new Error("no member");
  const { pid } = only;
  await only.start();
  expect(await only.pids()).toEqual([pid]);
  process.kill(pid, "SIGKILL"); // as if by somebody else
  await until(async () => (await only.pids()).length === 0, { what: "the end of the member" });
  await only.start();
  expect(await only.pids()).toEqual([only.pid]);
  expect(only.pid).not.toBe(pid);
  await only.stop();
  expect(await only.pids()).toEqual([]);
});
