import { expect, test } from "vitest";
import { manualClock } from "../clock/index.ts";
import type { Child, ChildExit } from "./child.ts";
import { Instance, readyMsMax } from "./instance.ts";
import { restartPolicy } from "./restart-step.ts";

/** Children that do what the test says, in the order in which they were started. */
function world() {
  const clock = manualClock();
  const children: ReturnType<typeof fakeChild>[] = [];
  const failures: { how: string; waitMs: number; crashLoop: boolean }[] = [];
  const instance = new Instance(
    "api-1",
    () => {
      const fake = fakeChild(children.length + 1);
      children.push(fake);
      return fake.child;
    },
    clock,
    {
      changed: () => {},
      settled: async () => {},
      failed: (exit, waitMs, crashLoop) => failures.push({ how: exit.how, waitMs, crashLoop }),
      recovered: () => {},
    },
  );
  return { clock, children, failures, instance };
}

function fakeChild(pid: number) {
  let isReady = (_: { port: number | undefined }) => {};
  let isNotReady = (_: Error) => {};
  let hasExited = (_: ChildExit) => {};
  const ready = new Promise<{ port: number | undefined }>((resolve, reject) => {
    isReady = resolve;
    isNotReady = reject;
  });
  ready.catch(() => {});
  const exited = new Promise<ChildExit>((resolve) => {
    hasExited = resolve;
  });
  const stops: number[] = [];
  const exit = (how = "SIGKILL") => {
    isNotReady(new Error(how));
    hasExited({ how, lastError: undefined });
  };
  const child: Child = {
    pid,
    ready,
    exited,
    memoryBytes: 0,
    send: () => {},
    stop(graceMs) {
      stops.push(graceMs);
      exit("exit code 0");
      return exited;
    },
  };
  return { child, stops, exit, becomeReady: (port = 5000 + pid) => isReady({ port }) };
}

async function begun() {
  const all = world();
  const beginning = all.instance.begin();
  all.children[0]?.becomeReady();
  await beginning;
  return all;
}

test("a first process that does not become ready is not tried again", async () => {
  const { instance, children, clock } = world();
  const beginning = instance.begin();
  children[0]?.exit("exit code 1");
  await expect(beginning).rejects.toThrow("exit code 1");
  await clock.advance(60_000);
  expect(children).toHaveLength(1);
  expect(instance.endpoint).toBeUndefined();
});

test("a first process that hangs is stopped", async () => {
  const { instance, children, clock } = world();
  const beginning = instance.begin();
  const refused = expect(beginning).rejects.toThrow();
  await clock.advance(readyMsMax);
  await refused;
  expect(children[0]?.stops).toEqual([0]);
});

test("a killed process leaves its endpoint at once, and the next one takes the place", async () => {
  const { instance, children, clock, failures } = await begun();
  expect(instance.endpoint).toEqual({ id: "api-1/1", host: "127.0.0.1", port: 5001 });
  await clock.advance(restartPolicy.stableMs);
  children[0]?.exit();
  await clock.advance(0);
  expect(instance.endpoint).toBeUndefined();
  expect(failures).toEqual([{ how: "SIGKILL", waitMs: 0, crashLoop: false }]);
  expect(children).toHaveLength(2);
  children[1]?.becomeReady();
  await clock.advance(0);
  expect(instance.endpoint?.id).toBe("api-1/2");
  expect(instance.status()).toMatchObject({ state: "ready", restarts: 1, lastError: "SIGKILL" });
});

test("a process that keeps dying is a crash loop, with its last error, until one stays", async () => {
  const { instance, children, clock, failures } = await begun();
  await clock.advance(10_000);
  for (let n = 0; n <= restartPolicy.earlyEndsMax; n++) {
    children.at(-1)?.exit("exit code 1");
    await clock.advance(restartPolicy.capMs);
  }
  expect(failures.at(-1)?.crashLoop).toBe(true);
  expect(instance.status()).toMatchObject({ state: "crash-looping", lastError: "exit code 1" });
  await clock.advance(restartPolicy.crashLoopMs);
  children.at(-1)?.becomeReady();
  await clock.advance(0);
  expect(instance.status().state).toBe("ready");
});

test("a replacement takes the place when it is ready, and only then the old process drains", async () => {
  const { instance, children, clock } = await begun();
  const replacing = instance.replace(10_000);
  await clock.advance(0);
  expect(children[0]?.stops).toEqual([]);
  expect(instance.endpoint?.id).toBe("api-1/1");
  children[1]?.becomeReady();
  await replacing;
  expect(children[0]?.stops).toEqual([10_000]);
  expect(instance.endpoint?.id).toBe("api-1/2");
  expect(children).toHaveLength(2);
});

test("a replacement that does not start leaves the old process where it is", async () => {
  const { instance, children, clock } = await begun();
  const replacing = instance.replace(10_000);
  const refused = expect(replacing).rejects.toThrow("exit code 1");
  await clock.advance(0);
  children[1]?.exit("exit code 1");
  await refused;
  expect(children[0]?.stops).toEqual([]);
  expect(instance.endpoint?.id).toBe("api-1/1");
});

test("a process that leaves by itself gets no further request, and is followed by the next one", async () => {
  const { instance, children, clock } = await begun();
  instance.left(children[0]?.child as Child);
  expect(instance.endpoint).toBeUndefined();
  children[0]?.exit("exit code 0");
  await clock.advance(0);
  children[1]?.becomeReady();
  await clock.advance(0);
  expect(instance.endpoint?.id).toBe("api-1/2");
});

test("nothing starts after a stop, and a stop may be made impatient", async () => {
  const { instance, children, clock } = await begun();
  children[0]?.exit();
  await instance.stop(10_000);
  await instance.stop(0);
  await clock.advance(60_000);
  expect(children.length).toBeLessThanOrEqual(2);
  expect(instance.status().state).toBe("stopped");
  expect(clock.pendingTimers).toBe(0);
});

test("a stop takes a replacement that is on its way with it", async () => {
  const { instance, children, clock } = await begun();
  const replacing = instance.replace(10_000);
  const refused = expect(replacing).rejects.toThrow();
  await clock.advance(0);
  await instance.stop(5_000);
  await refused;
  expect(children.map(({ stops }) => stops)).toEqual([[5_000], [5_000]]);
});
