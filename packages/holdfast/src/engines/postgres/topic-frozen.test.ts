/** A topic whose home stands still: it answers nothing, and breaks no connection. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { HoldfastError } from "../../call/index.ts";
import { manualClock } from "../../clock/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import { findServerProcesses } from "./embedded/index.ts";
import { installFramework } from "./install.ts";
import { openDatabaseNodes } from "./nodes.ts";
import { postgresTopic } from "./topic.ts";
import { declaredTopic } from "./topic-testing.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres?.stop());

/** Stops every process of the home, and lets them go on when disposed of. */
async function frozen(): Promise<Disposable> {
  const pids = await findServerProcesses(postgres.nodes[0]?.primary.dataDir ?? "");
  expect(pids.length).toBeGreaterThan(1);
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  return {
    [Symbol.dispose]() {
      for (const pid of pids) process.kill(pid, "SIGCONT");
    },
  };
}

const message = (value: unknown) => ({ partition: 0, key: "k", json: JSON.stringify(value) });

test("whatever is under way ends, a publish as unknown, and closing does not wait for the home", async () => {
  const clock = manualClock();
  const config = await postgres.freshDatabase();
  const nodes = openDatabaseNodes(config, { clock, applicationName: "frozen" });
  await installFramework(nodes);
  const port = postgresTopic(declaredTopic("events", { partitions: 1 }), nodes, clock);
  const [claim] = await port.heartbeat("reader", "a", 60_000);
  if (!claim) throw new Error("the only member should hold the only partition");
  // Until the connection listens too.
  const listening = port.wait(0, new AbortController().signal);
  await clock.advance(1);
  await listening;
  await until(
    () =>
      nodes.primary(nodes.home).use(async (session) => {
        const { rowCount } = await session.send({
          text: "select from pg_stat_activity where application_name = 'holdfast-topic' and query like 'listen%'",
        });
        return rowCount === 1;
      }),
    { what: "the connection to listen" },
  );
  await port.publish([message("before")]);
  const ended = (work: Promise<unknown>) => work.catch((error: unknown) => error);
  /** Lets time pass until `work` has ended. */
  const ends = async (work: Promise<unknown>, what: string): Promise<unknown> => {
    let over = false;
    const answer = ended(work).finally(() => {
      over = true;
    });
    await until(() => clock.advance(500).then(() => over), { what });
    return answer;
  };
  {
    using _ = await frozen();
    // The only connection that is open carries this one; the others get none, or none that answers.
    const publish = await ends(port.publish([message("unknown")]), "the publish to end");
    expect(publish).toMatchObject({ code: "HOLDFAST_OUTCOME_UNKNOWN", outcome: "unknown" });
    const others = [port.heartbeat("reader", "a", 60_000), port.next(claim, 10), port.lag("reader")];
    for (const error of (await ends(Promise.all(others.map(ended)), "the others to end")) as unknown[]) {
      expect(error).toBeInstanceOf(HoldfastError);
    }
    await ends(port.close(), "the topic to close");
  }
  await nodes.close();
});
