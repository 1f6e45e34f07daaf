/** For tests of selective queues: a database with the framework's tables, and processes that use a queue of it. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { uuidv7Generator } from "../../../../clock/ids/index.ts";
import { type Clock, systemClock } from "../../../../clock/index.ts";
import {
  type ClaimedJob,
  type OutgoingJob,
  type QueueMember,
  type QueueOptions,
  type QueuePort,
  queue,
} from "../../../../parts/queue/index.ts";
import type { TestPostgres } from "../../../../testkit/index.ts";
import { installFramework } from "../../install.ts";
import { type DatabaseNodes, openDatabaseNodes } from "../../nodes.ts";
import { type SelectiveQueue, selectiveQueue } from "./selective-queue.ts";

export const anything: StandardSchemaV1<unknown, unknown> = {
  "~standard": { version: 1, vendor: "holdfast-tests", validate: (value) => ({ value }) },
};

const nextId = uuidv7Generator(systemClock);

export interface SelectiveHome extends AsyncDisposable {
  readonly nodes: DatabaseNodes;
  /** One more process that uses the queue. */
  open(name: string, options: Partial<QueueOptions<typeof anything>>, clock?: Clock): SelectiveQueue;
  /** Rows of a statement. */
  rows<Row>(text: string, values?: readonly unknown[]): Promise<readonly Row[]>;
}

export async function selectiveHome(postgres: TestPostgres): Promise<SelectiveHome> {
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
  return {
    nodes,
    open(name, options, clock = systemClock) {
      const port = selectiveQueue(queue(name, { schema: anything, ...options }) as never, connect(), clock);
      closing.push(() => port.close());
      return port;
    },
    rows: <Row>(text: string, values: readonly unknown[] = []) =>
      nodes.primary(nodes.home).use(async (session) => (await session.send<Row>({ text, values })).rows),
    async [Symbol.asyncDispose]() {
      for (const close of closing.reverse()) await close();
    },
  };
}

export function job(value: unknown, fields: Partial<OutgoingJob> = {}): OutgoingJob {
  return {
    id: nextId(),
    name: undefined,
    json: JSON.stringify(value),
    group: undefined,
    priority: 0,
    due: { afterMs: 0 },
    unique: undefined,
    tags: [],
    traceparent: undefined,
    session: undefined,
    ...fields,
  };
}

export const bytesMax = 8 << 20;

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
