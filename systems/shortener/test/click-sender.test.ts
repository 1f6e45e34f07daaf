import { HoldfastError } from "holdfast";
import { manualClock } from "holdfast/clock";
import { expect, test } from "vitest";
import type { Click } from "../clicks/click.ts";
import { type ClickSenderOptions, clickSender, type SenderEvent } from "../clicks/click-sender.ts";

const click = (id: number): Click => ({ id: `c${id}`, code: "abc", atMs: 1, referrer: "", userAgent: "" });

function rig(options: Partial<ClickSenderOptions> = {}) {
  const clock = manualClock();
  const events: SenderEvent[] = [];
  const publishes: { ids: string[]; done: () => void; fail: (error: unknown) => void }[] = [];
  const sender = clickSender({
    clock,
    report: (event) => events.push(event),
    publish: (clicks) =>
      new Promise((done, fail) => {
        publishes.push({ ids: clicks.map(({ id }) => id), done, fail });
      }),
    ...options,
  });
  return { clock, events, publishes, sender };
}

test("a click is counted when its publish commits; those that come meanwhile go out together", async () => {
  const { publishes, sender } = rig({ publishesMax: 1 });
  const first = sender.send(click(1));
  const others = [sender.send(click(2)), sender.send(click(3))];
  expect(publishes.map(({ ids }) => ids)).toEqual([["c1"]]);
  publishes[0]?.done();
  expect(await first).toBe("counted");
  await Promise.resolve();
  expect(publishes[1]?.ids).toEqual(["c2", "c3"]);
  publishes[1]?.done();
  expect(await Promise.all(others)).toEqual(["counted", "counted"]);
  expect(sender.uncounted()).toEqual({ pending: 0, dropped: 0 });
});

test("a redirect waits a moment for a slow commit, then goes on; the click is not lost", async () => {
  const { clock, publishes, sender } = rig({ waitMs: 150 });
  const fate = sender.send(click(1));
  await clock.advance(200);
  expect(await fate).toBe("pending");
  expect(sender.uncounted().pending).toBe(1);
  publishes[0]?.done();
  await clock.advance(0);
  expect(sender.uncounted()).toEqual({ pending: 0, dropped: 0 });
  expect(publishes).toHaveLength(1);
});

test("clicks whose publish failed are sent again under their ids, and redirects stop waiting meanwhile", async () => {
  const { clock, events, publishes, sender } = rig();
  const first = sender.send(click(1));
  publishes[0]?.fail(new Error("primary is down"));
  expect(await first).toBe("pending");
  expect(await sender.send(click(2))).toBe("pending");
  expect(publishes).toHaveLength(1);
  await clock.advance(100);
  expect(publishes[1]?.ids).toEqual(["c1", "c2"]);
  publishes[1]?.done();
  await clock.advance(0);
  expect(events.map(({ kind }) => kind)).toEqual(["failing", "recovered"]);
  const next = sender.send(click(3));
  publishes[2]?.done();
  expect(await next).toBe("counted");
});

test("the buffer is bounded: what does not fit is dropped, counted and reported once a second", async () => {
  const { clock, events, publishes, sender } = rig({ capacity: 2 });
  void sender.send(click(1));
  publishes[0]?.fail(new Error("down"));
  await clock.advance(0);
  expect(await sender.send(click(2))).toBe("pending");
  expect(await sender.send(click(3))).toBe("dropped");
  expect(await sender.send(click(4))).toBe("dropped");
  expect(sender.uncounted()).toEqual({ pending: 2, dropped: 2 });
  await clock.advance(1_000);
  expect(events.filter(({ kind }) => kind === "dropped")).toEqual([
    { kind: "dropped", why: "full", count: 2 },
  ]);
});

test("clicks that waited too long are dropped, because their ids may have been forgotten", async () => {
  const { clock, publishes, sender } = rig({ ageMsMax: 1_000 });
  void sender.send(click(1));
  publishes[0]?.fail(new Error("down"));
  for (let i = 1; i < 6; i++) {
    await clock.advance(700);
    publishes[i]?.fail(new Error("down"));
  }
  await clock.advance(5_000);
  expect(sender.uncounted()).toEqual({ pending: 0, dropped: 1 });
});

test("a click that the topic refuses does not stop the others", async () => {
  const { publishes, sender } = rig({ publishesMax: 1 });
  const refused = sender.send(click(1));
  const next = sender.send(click(2));
  publishes[0]?.fail(new HoldfastError("HOLDFAST_INPUT_INVALID", "does not fit"));
  expect(await refused).toBe("dropped");
  publishes[1]?.done();
  expect(await next).toBe("counted");
});

test("flush waits until everything is committed, or as long as it may", async () => {
  const { clock, publishes, sender } = rig();
  void sender.send(click(1));
  let flushed = 0;
  void sender.flush(500).then(() => flushed++);
  await clock.advance(499);
  expect(flushed).toBe(0);
  await clock.advance(1);
  expect(flushed).toBe(1);
  void sender.flush(60_000).then(() => flushed++);
  publishes[0]?.done();
  await clock.advance(0);
  expect(flushed).toBe(2);
});
