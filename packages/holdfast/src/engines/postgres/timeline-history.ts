/**
 * The histories of one node's timelines, asked of its servers once and remembered: a history never changes.
 */
import pg from "pg";
import type { Clock } from "../../clock/index.ts";
import type { PostgresEndpoint } from "./config.ts";
import type { NodePool } from "./pool.ts";
import type { ServerFacts } from "./session.ts";
import { type Line, parseHistory } from "./timeline.ts";
import { timelineHistorySql } from "./timeline-sql.ts";

/** After a server would not tell, it is not asked again for this long, in milliseconds. */
const pauseMs = 1_000;
const answerMsMax = 2_000;

export class TimelineHistories {
  readonly #clock: Clock;
  readonly #known = new Map<string, Line>();
  readonly #asking = new Map<string, Promise<Line>>();
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #newest = { system: "0", timeline: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Tells of a server that takes writes. */
  sawPrimary({ system, timeline }: ServerFacts): void {
    if (timeline > this.#newest.timeline) this.#newest = { system, timeline };
  }

  /** The highest timeline on which this process has met a primary; 0 when it has met none. */
  get newest(): { readonly system: string; readonly timeline: number } {
    return this.#newest;
  }

  /** The history of `timeline`, if it is known already. */
  known(system: string, timeline: number): Line | undefined {
    return timeline === 1 ? { system, timeline, forks: new Map() } : this.#known.get(`${system} ${timeline}`);
  }

  /** Never rejects: a server that will not tell gives a line without forks. */
  async lineOf(pool: NodePool, system: string, timeline: number): Promise<Line> {
    const key = `${system} ${timeline}`;
    const known = this.known(system, timeline);
    if (known) return known;
    const unknown: Line = { system, timeline, forks: undefined };
    if (this.#clock.monotonicMs() < this.#notBeforeMs) return unknown;
    let asking = this.#asking.get(key);
    if (!asking) {
      asking = askHistory(pool.endpoint, timeline)
        .then(
          (text) => {
            const line = { system, timeline, forks: parseHistory(text) };
            this.#known.set(key, line);
            return line;
          },
          () => {
            this.#notBeforeMs = this.#clock.monotonicMs() + pauseMs;
            return unknown;
          },
        )
        .finally(() => this.#asking.delete(key));
      this.#asking.set(key, asking);
    }
    return asking;
  }
}

/** By the function that was installed for it; where that is missing or may not read, by the right to replicate. */
async function askHistory(endpoint: PostgresEndpoint, timeline: number): Promise<string> {
  try {
    const told = await askOn(endpoint, false, timelineHistorySql, [timeline]);
    if (told !== undefined) return told;
  } catch {
    // Not there, or without the right.
  }
  return (await askOn(endpoint, true, `TIMELINE_HISTORY ${Number(timeline)}`)) ?? "";
}

async function askOn(
  endpoint: PostgresEndpoint,
  replication: boolean,
  sql: string,
  values?: unknown[],
): Promise<string | undefined> {
  const { host, port, database, user, password } = endpoint;
  const options = {
    host,
    port,
    database,
    user,
    password,
    // The driver passes it on to the server; its types do not know it.
    ...(replication ? { replication: "database" } : {}),
    connectionTimeoutMillis: answerMsMax,
    query_timeout: answerMsMax,
    application_name: "holdfast timelines",
  };
  const client = new pg.Client(options);
  client.on("error", () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ content: Buffer | string | null }>(sql, values);
    const content = rows[0]?.content;
    return content === undefined || content === null ? undefined : String(content);
  } finally {
    void client.end().catch(() => {});
  }
}
