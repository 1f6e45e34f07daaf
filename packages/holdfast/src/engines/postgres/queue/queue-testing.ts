/** For tests of the ring: a queue with its pools, and jobs without much to them. */
import { systemClock } from "../../../clock/index.ts";
import { bytesMax, declaredQueue, type SceneOptions } from "../../../parts/queue/conformance-scene.ts";
import type { QueuePort } from "../../../parts/queue/index.ts";
import type { DatabaseConfig } from "../config.ts";
import { installFramework } from "../install.ts";
import { type DatabaseNodes, openDatabaseNodes } from "../nodes.ts";
import { openQueueStore, type QueueStore } from "./queue-tables.ts";
import { type PostgresQueue, ringQueue } from "./ring-queue.ts";

export { bytesMax, outgoing as outgoingJob } from "../../../parts/queue/conformance-scene.ts";

export interface RingScene extends AsyncDisposable {
  readonly config: DatabaseConfig;
  readonly nodes: DatabaseNodes;
  readonly port: PostgresQueue;
  readonly store: QueueStore;
  ask<Row>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** The same queue, as another process sees it. */
  another(applicationName?: string): PostgresQueue;
}

export async function ringScene(config: DatabaseConfig, options: SceneOptions = {}): Promise<RingScene> {
  const closers: (() => Promise<void>)[] = [];
  const connect = (applicationName: string) => {
    const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName, poolSize: 4 });
    closers.push(() => nodes.close());
    return nodes;
  };
  const queueOn = (nodes: DatabaseNodes) => {
    const port = ringQueue(declaredQueue("jobs", options), nodes, systemClock);
    closers.push(() => port.close());
    return port;
  };
  const nodes = connect("ring");
  await installFramework(nodes);
  const pool = nodes.primary(nodes.home);
  return {
    config,
    nodes,
    port: queueOn(nodes),
    store: await pool.use((session) => openQueueStore(session, "jobs")),
    ask: async <Row>(text: string, values: readonly unknown[] = []) =>
      (await pool.use((session) => session.send<Row>({ text, values }))).rows,
    another: (applicationName = "another") => queueOn(connect(applicationName)),
    async [Symbol.asyncDispose]() {
      for (const close of closers.reverse()) await close();
    },
  };
}

/** Claims and ends as done whatever there is, until there is nothing. @returns the values, in order */
export async function workOff(port: QueuePort, jobsMax = 100): Promise<unknown[]> {
  const member = await port.join("mailer", "mailer-1@drain", 60_000);
  const values: unknown[] = [];
  for (;;) {
    const jobs = await port.claim(member, jobsMax, bytesMax);
    if (jobs.length === 0) break;
    values.push(...jobs.map((job) => job.value));
    await port.finish(
      member,
      jobs.map((job) => ({ job, end: { kind: "done", resultJson: undefined } })),
    );
  }
  await port.leave(member);
  return values;
}
