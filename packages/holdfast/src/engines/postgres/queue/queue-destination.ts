/**
 * A queue as a destination of the outbox: jobs that were enqueued in a transaction are added when they arrive.
 *
 * What was committed must arrive, so the queue's `maxLength` does not hold it up. A unique key that is taken when the
 * job arrives lets it go: the job that has the key stands for it. A job that comes twice is known by its id.
 */
import type { Clock } from "../../../clock/index.ts";
import { isSelective, jobFromOutbox, type Queue } from "../../../parts/queue/index.ts";
import { boundedSessions } from "../log-session.ts";
import type { DatabaseNodes } from "../nodes.ts";
import { once } from "../once.ts";
import type { OutboxDestination } from "../outbox/destination.ts";
import type { Statement } from "../session.ts";
import { topicWakeup } from "../topic-wakeup.ts";
import { enqueueStatements } from "./queue-append.ts";
import { openQueueRow, openQueueStore, type QueueRow, type QueueStore, wakeKey } from "./queue-tables.ts";
import { enqueueStatement } from "./selective/enqueuer.ts";
import { rulesOf } from "./selective/rules.ts";

export interface QueueDestination extends OutboxDestination {
  /** Gives the listening connection back. */
  close(): Promise<void>;
}

export function queueDestination(
  declaration: Pick<Queue<never>, "name" | "options">,
  home: DatabaseNodes,
  clock: Clock,
): QueueDestination {
  const { name, options } = declaration;
  const wakeup = topicWakeup(home, clock);
  const use = boundedSessions(home.primary(home.home), clock);
  const rules = rulesOf({ ...options, maxLength: Number.MAX_SAFE_INTEGER });
  const openStore = once(() =>
    use(
      async (session): Promise<QueueStore | QueueRow> =>
        isSelective(options) ? openQueueRow(session, name, true, () => "") : openQueueStore(session, name),
    ),
  );
  let store: QueueStore | QueueRow | undefined;
  return {
    kind: "queue",
    name,
    home,
    async open() {
      store = await openStore();
    },
    async append(session, messages) {
      const opened = store as QueueStore | QueueRow;
      const jobs = messages.map(jobFromOutbox);
      const statements: readonly Statement[] =
        "ready" in opened
          ? enqueueStatements(opened, jobs).statements
          : [enqueueStatement(opened.id, jobs, rules)];
      for (const statement of statements) await session.send(statement);
    },
    appended() {
      if (!store) return;
      for (const delayed of [false, true]) wakeup.published(wakeKey(store, delayed));
    },
    close: () => wakeup.release(),
  };
}
