/** For tests of selective queues: a database with the framework's tables, and processes that use a queue of it. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { type Clock, systemClock } from "../../../../clock/index.ts";
import {
  type ClaimedJob,
  type OutgoingJob,
  type QueueMember,
  type QueueOptions,
  type QueuePort,
  queue,
} from "../../../../parts/queue/index.ts";
import type { DatabaseConfig } from "../../config.ts";
import { installFramework } from "../../install.ts";
import { type DatabaseNodes, openDatabaseNodes } from "../../nodes.ts";
import { type SelectiveQueue, selectiveQueue } from "./selective-queue.ts";

export const anything: StandardSchemaV1<unknown, unknown> = {
  "~standard": { version: 1, vendor: "holdfast-tests", validate: (value) => ({ value }) },
};

export type QueueSettings = Partial<QueueOptions<typeof anything>>;

export interface SelectiveHome extends AsyncDisposable {
  readonly nodes: DatabaseNodes;
  open(name: string, options: QueueSettings, clock?: Clock): SelectiveQueue;
  /** The same, with connections of its own, as another process would have them. */
  another(name: string, options: QueueSettings): SelectiveQueue;
  /** Rows of a statement. */
  rows<Row>(text: string, values?: readonly unknown[]): Promise<readonly Row[]>;
}

/** @param postgres a server of the test kit */
export async function selectiveHome(postgres: {
  freshDatabase(): Promise<DatabaseConfig>;
}): Promise<SelectiveHome> {
  const config = await postgres.freshDatabase();
  const closing: (() => Promise<void>)[] = [];
  const connect = () => {
    const nodes = openDatabaseNodes(config, {
      clock: systemClock,
      applicationName: "selective",
      poolSize: 3,
    });
    closing.push(() => nodes.close());
    return nodes;
  };
  const nodes = connect();
  await installFramework(nodes);
  const openOn = (on: DatabaseNodes, name: string, options: QueueSettings, clock: Clock) => {
    const port = selectiveQueue(queue(name, { schema: anything, ...options }) as never, on, clock);
    closing.push(() => port.close());
    return port;
  };
  return {
    nodes,
    open: (name, options, clock = systemClock) => openOn(nodes, name, options, clock),
    another: (name, options) => openOn(connect(), name, options, systemClock),
    rows: <Row>(text: string, values: readonly unknown[] = []) =>
      nodes.primary(nodes.home).use(async (session) => (await session.send<Row>({ text, values })).rows),
    async [Symbol.asyncDispose]() {
      for (const close of closing.reverse()) await close();
    },
  };
}

export { bytesMax, outgoing as job } from "../../../../parts/queue/conformance-scene.ts";

export function done(port: QueuePort, member: QueueMember, jobs: readonly ClaimedJob[]) {
  return port.finish(
    member,
    jobs.map((one) => ({ job: one, end: { kind: "done", resultJson: undefined } })),
  );
}

/** Enqueues them all, some hundred at a time. */
export async function enqueueAll(port: QueuePort, jobs: readonly OutgoingJob[]): Promise<void> {
  for (let at = 0; at < jobs.length; at += 1_000) await port.enqueue(jobs.slice(at, at + 1_000));
}
