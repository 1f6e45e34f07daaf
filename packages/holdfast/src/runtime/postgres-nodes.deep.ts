/** A primary that stands still: it takes the supervisor twenty seconds to be sure. */
import { expect, test } from "vitest";
import { findServerProcesses } from "../engines/postgres/embedded/index.ts";
import { until } from "../testkit/index.ts";
import { superviseNodes } from "./fixtures/supervised-nodes.ts";

const supervised = superviseNodes();

test("a primary that stands still is killed and comes back by itself: nobody is promoted", async () => {
  const [before] = await supervised.nodes.status();
  for (const pid of await findServerProcesses(await supervised.primaryDir())) process.kill(pid, "SIGSTOP");
  await until(
    async () => {
      const [primary] = await supervised.nodes.status();
      return primary?.state === "ready" && primary.pid !== before?.pid;
    },
    { timeoutMs: 50_000, what: "the restart" },
  );
  expect(supervised.told).toEqual([]);
});
