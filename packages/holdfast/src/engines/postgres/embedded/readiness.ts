/**
 * Whether a server answers: by asking it, not by reading its log.
 */
import pg from "pg";
import type { Clock } from "../../../clock/index.ts";
import type { PostgresEndpoint } from "../config.ts";
import { codeOf } from "./files.ts";

/** Asks `select 1`. @returns undefined when it was answered, otherwise in words why not */
export async function answers(endpoint: PostgresEndpoint, clock: Clock): Promise<string | undefined> {
  try {
    await withClient(endpoint, clock, (client) => client.query("select 1"));
    return undefined;
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ECONNREFUSED") return "not listening";
    if (code === "57P03") return "recovering"; // the server says: I am starting up
    return (error as Error).message;
  }
}

/**
 * Runs `work` on a connection of its own as the superuser, then closes it.
 *
 * @param limitMs bound for connecting, in milliseconds. Default 5_000.
 */
export async function withClient<T>(
  endpoint: PostgresEndpoint,
  clock: Clock,
  work: (client: pg.Client) => Promise<T>,
  limitMs = 5_000,
): Promise<T> {
  const client = new pg.Client({ ...endpoint, application_name: "holdfast supervisor" });
  // A connection that breaks between two queries is reported by the next one; without a listener it would throw.
  client.on("error", () => {});
  const cut = () => client.connection.stream.destroy(new Error("no answer"));
  const connecting = clock.timer(limitMs, cut);
  try {
    await client.connect();
    connecting.cancel();
    return await work(client);
  } finally {
    connecting.cancel();
    // A server that is paused never says goodbye.
    const closing = clock.timer(1_000, cut);
    await client.end().catch(() => {});
    closing.cancel();
  }
}
