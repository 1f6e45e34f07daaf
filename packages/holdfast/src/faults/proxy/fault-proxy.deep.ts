/** Gigabytes through the fault proxy, in this process and in one of its own. */
import { expect, test } from "vitest";
import { forwardUnchanged } from "../fixtures/forward-unchanged.ts";
import { startFaultProxy } from "./fault-proxy.ts";
import { spawnFaultProxy } from "./spawn-fault-proxy.ts";

const bytes = 4 * 2 ** 30;

test("4 GiB pass unchanged", async () => {
  const { sent, received } = await forwardUnchanged(startFaultProxy, { bytes, seed: 2, connections: 6 });
  expect(received).toEqual(sent);
}, 600_000);

test("4 GiB pass unchanged through a process of its own", async () => {
  const { sent, received } = await forwardUnchanged(({ to }) => spawnFaultProxy({ to }), { bytes, seed: 3 });
  expect(received).toEqual(sent);
}, 600_000);
