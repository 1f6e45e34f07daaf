import { expect, test } from "vitest";
import { manualClock } from "../clock/index.ts";
import { endpointBoard } from "./endpoint-board.ts";
import type { ToChild } from "./messages.ts";

const at = (port: number) => ({ api: [{ id: `api-1/${port}`, host: "127.0.0.1", port }] });

function gateway() {
  const heard: ToChild[] = [];
  return { heard, send: (message: ToChild) => void heard.push(message) };
}

test("every gateway process hears of a change once, and not of what stays the same", () => {
  const board = endpointBoard(manualClock());
  const [one, two] = [gateway(), gateway()];
  board.add(one);
  board.publish(at(1));
  board.publish(at(1));
  board.add(two);
  board.publish(at(2));
  expect(one.heard.map((message) => message.kind === "endpoints" && message.version)).toEqual([1, 2]);
  expect(two.heard).toEqual([{ kind: "endpoints", version: 2, endpoints: at(2) }]);
});

test("a change is settled when the last gateway process has taken it, or is gone", async () => {
  const clock = manualClock();
  const board = endpointBoard(clock);
  const [one, two, three] = [gateway(), gateway(), gateway()];
  board.add(one);
  board.add(two);
  const leave = board.add(three);
  board.publish(at(1));
  let settled = false;
  const settling = board.settled().then(() => {
    settled = true;
  });
  board.taken(one, 1);
  board.taken(two, 1);
  await clock.advance(10);
  expect(settled).toBe(false);
  leave();
  await settling;
  expect(clock.pendingTimers).toBe(0);
});

test("a gateway process that stands still holds nobody up for long", async () => {
  const clock = manualClock();
  const board = endpointBoard(clock);
  board.add(gateway());
  board.publish(at(1));
  const settling = board.settled();
  await clock.advance(1_000);
  await settling;
});
