/**
 * Sends one request, and says how it ended: an answer, or a failure with its outcome.
 *
 * | how it ended | outcome |
 * |---|---|
 * | no connection (refused, no such host) | not applied: nothing was sent |
 * | 4xx | not applied: refused |
 * | 5xx, no answer in time, connection broke | unknown |
 */
import { Pool } from "undici";
import type { Outcome } from "../call/index.ts";
import type { Clock } from "../clock/index.ts";
import type { LoadResponse, RequestSpec } from "./plan.ts";

export type Ending =
  | { readonly kind: "answer"; readonly response: LoadResponse }
  | { readonly kind: "failure"; readonly outcome: Outcome; readonly why: string };

export interface Sender {
  send(request: RequestSpec, options: { timeoutMs: number; keepBody: boolean }): Promise<Ending>;
  /** Breaks what is under way. */
  close(): Promise<void>;
}

const bodyCharsMax = 1 << 20;
const notConnected =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|UND_ERR_CONNECT_TIMEOUT)$/;

export function openSender(target: URL, connections: number, clock: Clock): Sender {
  const pool = new Pool(target.origin, { connections, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
  return {
    async send(spec, { timeoutMs, keepBody }) {
      const over = new AbortController();
      const timer = clock.timer(timeoutMs, () => over.abort());
      try {
        const body = spec.json === undefined ? spec.body : JSON.stringify(spec.json);
        const {
          statusCode,
          headers,
          body: stream,
        } = await pool.request({
          method: methodOf(spec) as "GET",
          path: spec.path,
          headers: {
            ...(spec.json === undefined ? {} : { "content-type": "application/json" }),
            ...spec.headers,
          },
          ...(body === undefined ? {} : { body }),
          signal: over.signal,
        });
        let text = "";
        stream.setEncoding("utf8");
        for await (const chunk of stream) {
          if (keepBody && text.length < bodyCharsMax) text += chunk;
        }
        return {
          kind: "answer",
          response: { status: statusCode, headers, body: text.slice(0, bodyCharsMax) },
        };
      } catch (error) {
        if (over.signal.aborted) return { kind: "failure", outcome: "unknown", why: "no answer in time" };
        return failureOf(error);
      } finally {
        timer.cancel();
      }
    },
    async close() {
      await pool.destroy();
    },
  };
}

export function methodOf({ method, body, json }: RequestSpec): string {
  return method ?? (body === undefined && json === undefined ? "GET" : "POST");
}

function failureOf(error: unknown): Ending {
  const code = codeOf(error);
  if (code && notConnected.test(code)) {
    return { kind: "failure", outcome: "not-applied", why: `no connection (${code})` };
  }
  if (code?.startsWith("UND_ERR_INVALID_ARG")) throw error; // the plan asks for something that is no request
  return { kind: "failure", outcome: "unknown", why: `connection broke (${code ?? (error as Error).name})` };
}

/** The first code along the causes; of an AggregateError (one per address) that of its first error. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ("code" in error && typeof error.code === "string") return error.code;
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return codeOf(error.cause);
}
