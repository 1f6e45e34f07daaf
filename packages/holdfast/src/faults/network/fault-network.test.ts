/** Links between network namespaces, cut and slowed in their router. Needs root on Linux with iproute2. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { type Harmed, startHarmed } from "../fixtures/harmed.ts";
import { linkInjector } from "../link/link-injector.ts";
import type { LinkFault } from "../link/link-way.ts";
import { startFaultProxy } from "../proxy/fault-proxy.ts";
import type { InjectorContext } from "../run/injector.ts";
import { type UndoGuard, undoGuard } from "../undo/undo-guard.ts";
import { type FaultNetwork, openFaultNetwork } from "./fault-network.ts";

const root = process.getuid?.() === 0 && existsSync("/proc/self/ns/net");
const why = root ? "" : " (skipped: network namespaces take root on Linux)";

let guard: UndoGuard;
let network: FaultNetwork;
let a: Harmed;
let b: Harmed;
let context: InjectorContext;
beforeAll(async () => {
  if (!root) return;
  guard = undoGuard();
  context = { clock: systemClock, guard, probeMs: 10_000 };
  network = await openFaultNetwork({ nodes: ["a", "b"], clock: systemClock, guard });
  [a, b] = (await Promise.all(
    ["a", "b"].map((name) =>
      startHarmed({ name, host: network.address(name), inside: (command) => network.inside(name, command) }),
    ),
  )) as [Harmed, Harmed];
});
afterAll(async () => {
  await a?.[Symbol.asyncDispose]();
  await b?.[Symbol.asyncDispose]();
  await network?.close();
  await guard?.close();
});

const ends = () => ({ from: a.member, to: b.member, control: { network: network.link("a", "b") } });
const hostToB = () => ({ from: a.member, to: b.member, control: { network: network.link("host", "b") } });

test.skipIf(!root)(`this process reaches the nodes${why}`, async () => {
  expect(await a.ask("hello")).toBe("hello");
  expect(await b.ask("hello")).toBe("hello");
});

for (const direction of ["both", "forward", "back"] as const) {
  test.skipIf(!root)(`a partition (${direction}) drops packets, and heals${why}`, async () => {
    const fault = await linkInjector.inject({ kind: "partition", direction }, ends(), context);
    expect(fault.by).toBe("network namespaces");
    expect(fault.effect).toMatch(/^an attempt got no answer in \d+ ms$/);
    // Others are not cut off.
    expect(await b.ask("hello")).toBe("hello");
    expect(await fault.undo()).toMatch(/^an answer came after/);
  });
}

test.skipIf(!root)(`the links of this process can be cut too${why}`, async () => {
  const fault = await linkInjector.inject({ kind: "partition" }, hostToB(), context);
  await expect(b.ask("hello", { boundMs: 300 })).rejects.toThrow("no answer");
  expect(await a.ask("hello")).toBe("hello");
  await fault.undo();
  expect(await b.ask("hello")).toBe("hello");
});

test.skipIf(!root)(`a black hole answers nothing and resets nothing${why}`, async () => {
  const fault = await linkInjector.inject({ kind: "blackhole", direction: "back" }, ends(), context);
  expect(fault.effect).toMatch(/^neither answer nor reset in/);
  await fault.undo();
});

test.skipIf(!root)(
  `bandwidth is bounded by the router where it has htb, by a proxy otherwise${why}`,
  async () => {
    await using proxy = await startFaultProxy({ to: b.member.address, clock: systemClock });
    const { network: link } = ends().control;
    const bound: LinkFault = { kind: "bandwidth", bytesPerSecond: 200_000 };
    const fault = await linkInjector.inject(bound, { ...ends(), control: { network: link, proxy } }, context);
    const reason = link.refusal(bound);
    expect(fault.by).toBe(reason === undefined ? "network namespaces" : `fault proxy (${reason})`);
    expect(fault.effect).toMatch(/^60000 bytes went at \d+ bytes\/s$/);
    await fault.undo();
  },
);

test.skipIf(!root)(
  `latency is netem's where the kernel has it, a proxy's otherwise, and the report says why${why}`,
  async () => {
    await using proxy = await startFaultProxy({ to: b.member.address, clock: systemClock });
    const { network: link } = ends().control;
    const late: LinkFault = { kind: "latency", delayMs: 40, jitterMs: 5 };
    const fault = await linkInjector.inject(late, { ...ends(), control: { network: link, proxy } }, context);
    const reason = link.refusal(late);
    expect(fault.by).toBe(reason === undefined ? "network namespaces" : `fault proxy (${reason})`);
    expect(fault.effect).toMatch(/^a round trip takes \d+\.\d ms, before/);
    await fault.undo();
    if (reason !== undefined) {
      expect(await linkInjector.refusal(late, ends())).toBe(
        `${reason}; lead the link through a fault proxy instead`,
      );
    }
  },
);

test.skipIf(!root)(`nothing is left of a network that was closed${why}`, async () => {
  // Other test processes make networks at the same time: only names of this one count.
  const mine = () =>
    execFileSync("ip", ["netns", "list"], { encoding: "utf8" })
      .split("\n")
      .filter((line) => line.startsWith(`hf${process.pid.toString(36)}`)).length;
  const before = mine();
  const other = await openFaultNetwork({ nodes: ["x"], clock: systemClock, guard });
  expect(mine()).toBe(before + 2);
  await other.close();
  await other.close();
  expect(mine()).toBe(before);
});
