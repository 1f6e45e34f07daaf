/** Faults that silently do nothing are the worst: each of them is found out by its probe. */

import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { type Harmed, startHarmed } from "../fixtures/harmed.ts";
import { linkInjector } from "../link/link-injector.ts";
import type { LinkFault } from "../link/link-way.ts";
import type { Fault } from "../plan/fault.ts";
import { type FaultProxy, startFaultProxy } from "../proxy/fault-proxy.ts";
import { type UndoGuard, undoGuard } from "../undo/undo-guard.ts";
import type { InjectorContext } from "./injector.ts";
import { type MemberFaultKind, memberInjector } from "./injectors.ts";
import type { FaultMember } from "./target.ts";

let server: Harmed;
let idle: Server;
let proxy: FaultProxy;
let guard: UndoGuard;
let context: InjectorContext;
beforeAll(async () => {
  server = await startHarmed();
  idle = createServer().listen(0, "127.0.0.1");
  await once(idle, "listening");
  proxy = await startFaultProxy({
    to: { host: "127.0.0.1", port: (idle.address() as AddressInfo).port },
    clock: systemClock,
  });
  guard = undoGuard();
  context = { clock: systemClock, guard, probeMs: 300 };
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await proxy.close();
  idle.close();
  await guard.close();
});

const onLinks: readonly LinkFault[] = [
  { kind: "partition" },
  { kind: "partition", direction: "back" },
  { kind: "latency", delayMs: 50 },
  { kind: "bandwidth", bytesPerSecond: 10_000 },
  { kind: "reset" },
  { kind: "reset", afterBytes: 100 },
  { kind: "reset", share: 0.2 },
  { kind: "blackhole" },
];

for (const fault of onLinks) {
  test(`a link that ignores ${JSON.stringify(fault)} is found out, and one that does not is seen`, async () => {
    const [from, to] = [{ name: "a" }, { name: "b" }];
    const deaf = {
      ...proxy,
      host: proxy.host,
      port: proxy.port,
      echoPort: proxy.echoPort,
      set: async () => {},
    };
    const ignored = linkInjector.inject(fault, { from, to, control: { proxy: deaf as FaultProxy } }, context);
    await expect(ignored).rejects.toMatchObject({
      code: "HOLDFAST_FAULT_NO_EFFECT",
      message: `${fault.kind} of a -> b had no effect: what was sent through it went as before. It was undone and does not count.`,
    });
    const heard = await linkInjector.inject(
      fault,
      { from, to, control: { proxy } },
      { ...context, probeMs: 10_000 },
    );
    expect(heard.effect).not.toBe("");
    expect(await heard.undo()).not.toBe("");
  });
}

test("an undoing that does nothing is found out too", async () => {
  const control = { ...proxy, host: proxy.host, port: proxy.port, echoPort: proxy.echoPort };
  let deaf = false;
  control.set = async (settings) => (deaf ? undefined : proxy.set(settings));
  const ends = { from: { name: "a" }, to: { name: "b" }, control: { proxy: control as FaultProxy } };
  const cut = await linkInjector.inject({ kind: "partition" }, ends, context);
  deaf = true;
  await expect(cut.undo()).rejects.toMatchObject({ code: "HOLDFAST_FAULT_NOT_UNDONE" });
  await proxy.set({ forward: {}, back: {} });
});

const nothing = async () => {};
const members: readonly (readonly [Fault, () => FaultMember, RegExp])[] = [
  [
    { kind: "kill" },
    () => ({ name: "m", process: { pids: async () => [], start: nothing } }),
    /it did not run/,
  ],
  [
    { kind: "pause" },
    () => ({ name: "m", process: { pids: async () => [], start: nothing } }),
    /it does not run/,
  ],
  [
    { kind: "cpu-starvation", share: 0.1 },
    () => ({ name: "m", process: { pids: async () => [], start: nothing } }),
    /it does not run/,
  ],
  [
    { kind: "clock-offset", offsetMs: 60_000 },
    () => ({ name: "m", clock: { fake: deafClock, now: async () => Number(await server.ask("now")) } }),
    /it answers the right one/,
  ],
  [
    { kind: "clock-drift", msPerSecond: 500 },
    () => ({ name: "m", clock: { fake: deafClock, now: async () => Number(await server.ask("now")) } }),
    /it answers the right one/,
  ],
  [{ kind: "replica-lag" }, () => ({ name: "m", replica: replays() }), /it goes on replaying/],
];

const deafClock = { env: {}, file: "", set: nothing, drift: nothing, rightCommand: "true", close: nothing };

/** A replica that replays whatever it is told. */
function replays() {
  let written = 0;
  return {
    pause: nothing,
    resume: nothing,
    write: async () => {
      written++;
    },
    position: async () => ({ written, replayed: written }),
    resumeCommand: "true",
  };
}

for (const [fault, member, why] of members) {
  test(`${fault.kind} that does nothing is found out`, async () => {
    const injector = memberInjector(fault.kind as MemberFaultKind);
    await expect(injector.inject(fault, member(), context)).rejects.toMatchObject({
      code: "HOLDFAST_FAULT_NO_EFFECT",
      message: expect.stringMatching(why),
    });
  });
}
