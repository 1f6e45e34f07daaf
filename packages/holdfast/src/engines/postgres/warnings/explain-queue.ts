/** Statements that wait to be explained: off the path of the call that ran them, one after another, on one session. */
import type { HoldfastError } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import type { PostgresEndpoint } from "../config.ts";
import { PgSession } from "../session.ts";
import { type Explained, explain } from "./explain.ts";

export interface ToExplain {
  readonly endpoint: PostgresEndpoint;
  readonly schema: string;
  readonly text: string;
  done(explained: Explained): void;
}

/** What comes while so many wait is not explained. */
const waitingMax = 200;
/** Lets the call that brought it end first. */
const delayMs = 50;
const connectTimeoutMs = 5_000;

export class ExplainQueue {
  readonly #clock: Clock;
  #waiting: ToExplain[] = [];
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns false when too many wait, or it is closed */
  push(one: ToExplain): boolean {
    if (this.#closed || this.#waiting.length >= waitingMax) return false;
    this.#waiting.push(one);
    this.#running ??= this.#drain().finally(() => {
      this.#running = undefined;
    });
    return true;
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting = [];
    await this.idle();
  }

  async #drain(): Promise<void> {
    let session: PgSession | undefined;
    try {
      await this.#clock.sleep(delayMs);
      for (let one = this.#waiting.shift(); one; one = this.#waiting.shift()) {
        if (session && (session.ended || session.endpoint !== one.endpoint)) {
          await session.close();
          session = undefined;
        }
        session ??= await PgSession.connect(one.endpoint, {
          applicationName: "holdfast explain",
          where: `${one.endpoint.database} explain`,
          connectTimeoutMs,
        });
        await explainOne(session, one);
      }
    } catch {
      // The server is away: warnings are not worth another try, and what runs against it says so itself.
      this.#waiting = [];
    } finally {
      await session?.close();
    }
  }
}

async function explainOne(session: PgSession, one: ToExplain): Promise<void> {
  try {
    one.done(await explain(session, one.schema, one.text));
  } catch (error) {
    // A statement that cannot be prepared, such as DDL, has no plan.
    if ((error as HoldfastError).data?.sqlstate === undefined) throw error;
  }
}
