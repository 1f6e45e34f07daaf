/**
 * Asks one host of a node what it is, on a connection of its own: its name is resolved anew, and no pool stands
 * between.
 */
import { HoldfastError } from "../../call/index.ts";
import type { PostgresEndpoint } from "./config.ts";
import type { HostAnswer } from "./hosts-step.ts";
import { PgSession } from "./session.ts";
import { sqlStateOf } from "./session-error.ts";

/** A host that takes longer than this to say what it is has not answered, in milliseconds. */
export const answerMsMax = 2_000;

/** No listener, or no such name. */
const nobodyThere = new Set(["ECONNREFUSED", "ENOTFOUND", "EHOSTUNREACH", "ENETUNREACH", "ENOENT"]);

/** Never rejects. */
export async function askHost(endpoint: PostgresEndpoint, where: string): Promise<HostAnswer> {
  let session: PgSession;
  try {
    session = await PgSession.connect(endpoint, {
      applicationName: "holdfast hosts",
      where,
      connectTimeoutMs: answerMsMax,
    });
  } catch (error) {
    return refusal(error);
  }
  const { facts } = session;
  void session.close();
  return { kind: "answered", facts };
}

function refusal(error: unknown): HostAnswer {
  const cause = error instanceof HoldfastError && error.cause instanceof Error ? error.cause : error;
  const code = String((cause as { code?: unknown }).code ?? "");
  // 57P03: starting up, or shutting down.
  if (nobodyThere.has(code) || sqlStateOf(error) === "57P03") {
    return { kind: "refused", why: `takes no connection (${code})` };
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  return { kind: "silent", why: `does not answer (${why})` };
}
