/** What the suites of the queue's engines share: the engine under test, and short words for what they do to it. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { afterAll, beforeAll, test as vitestTest } from "vitest";
import { uuidv7Generator } from "../../clock/ids/index.ts";
import { type Clock, systemClock } from "../../clock/index.ts";
import { type Queue, queue } from "./declare.ts";
import type { QueueOptions } from "./options.ts";
import type { ClaimedJob, OutgoingJob, QueueMember, QueuePort } from "./port.ts";

export interface ClosableQueue extends QueuePort {
  close(): Promise<void>;
}

export interface QueueFixture {
  readonly clock: Clock;
  /** Connects to the declared queue, made on first use, as one more process would. The fixture closes it. */
  queue(declaration: Queue<never>): ClosableQueue;
  close(): Promise<void>;
}

export interface QueueSuite {
  readonly name: string;
  open(): Promise<QueueFixture>;
  /** Resolves when `condition` answers true; fails after some seconds. */
  readonly until: (condition: () => boolean | Promise<boolean>, what: string) => Promise<unknown>;
  /** Tests that the engine cannot pass, by name, each with the reason. */
  readonly skip?: readonly { readonly test: string; readonly reason: string }[];
}

/** Long enough for any test; a lease that has to run out is given as a few milliseconds instead. */
export const leaseMs = 60_000;
export const bytesMax = 8 << 20;

const anything: StandardSchemaV1<unknown, unknown> = {
  "~standard": { version: 1, vendor: "holdfast-tests", validate: (value) => ({ value }) },
};

export type SceneOptions = Partial<QueueOptions<typeof anything>>;

export function declaredQueue(name: string, options: SceneOptions = {}): Queue<never> {
  return queue(name, { schema: anything, ...options }) as Queue<never>;
}

const nextId = uuidv7Generator(systemClock);

/** A job of a queue, ready to be stored. */
export function outgoing(value: unknown, fields: Partial<OutgoingJob> = {}): OutgoingJob {
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

export function failure(message = "not today", code = "ERROR") {
  return { code, message, outcome: "unknown" } as const;
}

export interface Scene {
  readonly port: QueuePort;
  /** The same queue, as another process sees it. */
  another(): QueuePort;
  join(name?: string, port?: QueuePort, ms?: number): Promise<QueueMember>;
  /** Claims until so many are there. */
  claim(member: QueueMember, count: number, port?: QueuePort): Promise<ClaimedJob[]>;
  done(member: QueueMember, jobs: readonly ClaimedJob[], port?: QueuePort): Promise<readonly boolean[]>;
}

/** Opens the engine once for the file, and hands out queues that are new and alone. */
export function queueScenes({ name: engine, open, until, skip = [] }: QueueSuite) {
  let fixture: QueueFixture;
  let made = 0;
  beforeAll(async () => {
    fixture = await open();
  });
  afterAll(() => fixture?.close());
  const test = (name: string, run: () => Promise<void>) => {
    const reason = skip.find((one) => one.test === name)?.reason;
    if (reason === undefined) vitestTest(`${engine}: ${name}`, run);
    else vitestTest.skip(`${engine}: ${name} (${reason})`, run);
  };
  const scene = (options: SceneOptions = {}): Scene => {
    const declaration = declaredQueue(`queue-${++made}`, options);
    const port = fixture.queue(declaration);
    return {
      port,
      another: () => fixture.queue(declaration),
      join: (name = "mailer-1@a", on = port, ms = leaseMs) => on.join("mailer", name, ms),
      async claim(member, count, on = port) {
        const jobs: ClaimedJob[] = [];
        await until(async () => {
          jobs.push(...(await on.claim(member, count - jobs.length, bytesMax)));
          return jobs.length === count;
        }, `${count} jobs`);
        return jobs;
      },
      done: (member, jobs, on = port) =>
        on.finish(
          member,
          jobs.map((job) => ({ job, end: { kind: "done", resultJson: undefined } })),
        ),
    };
  };
  return { test, scene, until, clock: () => fixture.clock };
}
