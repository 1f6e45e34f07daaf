/** What the seam is told of a gateway's requests. Costs nothing while nobody observes. */
import { Call, HoldfastError, type Seam, type TraceContext } from "../call/index.ts";
import type { Clock } from "../clock/index.ts";
import type { ExchangeEnd } from "./exchange.ts";
import type { Refusal } from "./refusal.ts";
import type { RequestHead } from "./request-head.ts";

/** Reports the start now, and the end when the function that it returns is called. */
export function reportExchange(
  seam: Seam,
  clock: Clock,
  name: string,
  head: RequestHead,
  trace: TraceContext | undefined,
  requestId: string,
): (end: ExchangeEnd) => void {
  const attributes = { method: head.method, path: head.path, status: 0, attempts: 0, instance: "" };
  const call = new Call(clock, { requestId, ...(trace ? { trace } : {}) });
  const { promise, resolve } = Promise.withResolvers<ExchangeEnd>();
  const request = async () => {
    const end = await promise;
    attributes.status = end.status;
    attributes.attempts = end.attempts;
    attributes.instance = end.endpoint ?? "";
    if (end.outcome !== "applied") throw failure(end);
  };
  // The error is the seam's to report; here there is nobody to throw it to.
  seam.operation("gateway", name, "request", call, request, attributes).catch(() => undefined);
  return resolve;
}

export function reportRefusal(seam: Seam, name: string, method: string, refused: Refusal): void {
  const attributes = { method, status: refused.status, code: refused.code };
  const refuse = async () => {
    throw new HoldfastError("HOLDFAST_INPUT_INVALID", refused.message, { data: { code: refused.code } });
  };
  seam.operation("gateway", name, "refuse", undefined, refuse, attributes).catch(() => undefined);
}

function failure({ status, outcome, attempts, endpoint }: ExchangeEnd): HoldfastError {
  const options = { outcome, data: { status, attempts, ...(endpoint ? { instance: endpoint } : {}) } };
  if (status === 0)
    return new HoldfastError("HOLDFAST_ABORTED", "The client closed its connection.", options);
  if (status === 504) return new HoldfastError("HOLDFAST_DEADLINE", "The request took too long.", options);
  if (outcome === "not-applied") {
    return new HoldfastError("HOLDFAST_UNAVAILABLE", "No instance took the request.", options);
  }
  return new HoldfastError("HOLDFAST_CONNECTION_LOST", `The request failed with status ${status}.`, options);
}
