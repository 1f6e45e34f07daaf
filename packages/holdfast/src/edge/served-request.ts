/**
 * One request on its way through a handler: the call it runs in, and the one answer it gets.
 *
 * The first of handler and deadline decides. A handler that answers later is not heard any more; its outcome
 * is unknown, as the client was told.
 */
import type { IncomingMessage } from "node:http";
import {
  Call,
  callFromHeaders,
  deadlineError,
  escapedError,
  type HeaderReading,
  HoldfastError,
  inCall,
  refusalHeaders,
} from "../call/index.ts";
import type { Clock } from "../clock/index.ts";
import { errorResponse, errorStatus, type FetchHandler } from "../parts/service/index.ts";
import type { Expiring } from "./deadline-sweep.ts";

export class ServedRequest implements Expiring {
  readonly call: Call;
  slot = -1;
  /** What the seam is told; the status is filled in when there is one. */
  readonly attributes: { readonly method: string; readonly path: string; status: number };
  readonly #request: Request;
  #reject: ((error: unknown) => void) | undefined;
  /** A failure that the handler put into words by itself. */
  #failure: Response | undefined;
  #over = false;

  /** @param timeoutMs deadline of a request that brings none */
  constructor(
    request: Request,
    incoming: IncomingMessage,
    clock: Clock,
    timeoutMs: number,
    reading: HeaderReading,
  ) {
    const { headers } = incoming;
    // Node joins repeated fields into one string, except set-cookie, which no request has.
    const fields = callFromHeaders((name) => headers[name] as string | undefined, clock, reading);
    this.call = new Call(clock, { ...fields, timeoutMs: fields.timeoutMs ?? timeoutMs });
    this.attributes = { method: incoming.method as string, path: pathOf(incoming.url as string), status: 0 };
    this.#request = request;
  }

  get deadlineAtMs(): number {
    return this.call.deadlineAtMs;
  }

  expire(): void {
    this.#end(() => {
      this.attributes.status = 504;
      this.#reject?.(deadlineError(this.call));
    });
  }

  /** @throws {HoldfastError} HOLDFAST_HANDLER_FAILED or HOLDFAST_DEADLINE: what the seam and the log should see */
  run(handler: FetchHandler): Promise<Response> {
    return new Promise((resolve, reject) => {
      if (this.call.remainingMs() === 0) {
        this.attributes.status = 504;
        throw deadlineError(this.call, "not-applied");
      }
      this.#reject = reject;
      void this.#ask(handler).then(
        (response) =>
          this.#end(() => {
            this.attributes.status = response.status;
            if (response.status < 500) resolve(response);
            else {
              this.#failure = response;
              reject(escapedError(new Error(`the handler answered ${response.status}`)));
            }
          }, response),
        (error: unknown) =>
          this.#end(() => {
            this.attributes.status = errorStatus(error);
            // What the client did wrong is an answer; what went wrong here is a failure.
            if (this.attributes.status < 500) resolve(errorResponse(error));
            else reject(escapedError(error));
          }),
      );
    });
  }

  /** The answer to a request whose `run` threw `error`. */
  failed(error: unknown): Response {
    if (this.#failure) return this.#failure;
    if (this.#reject === undefined && error instanceof HoldfastError) return refusedResponse(error);
    const escaped = error instanceof HoldfastError && error.code === "HOLDFAST_HANDLER_FAILED";
    return errorResponse(escaped ? error.cause : error);
  }

  async #ask(handler: FetchHandler): Promise<Response> {
    const response = await inCall(this.call, () => handler.fetch(this.#request));
    if (!isResponse(response)) {
      throw new TypeError(`the handler's fetch should answer a Response, got ${typeof response}`);
    }
    return response;
  }

  #end(decide: () => void, unheard?: Response): void {
    if (this.#over) {
      void unheard?.body?.cancel().catch(() => undefined);
      return;
    }
    this.#over = true;
    this.call.end();
    decide();
  }
}

/** By shape, not by class: responses of another `fetch`, or made before an adapter replaced the class, count too. */
function isResponse(value: unknown): value is Response {
  return typeof value === "object" && value !== null && "status" in value && "headers" in value;
}

/** The handler never began, so this is one of the few answers that may say what became of the call. */
function refusedResponse(error: HoldfastError): Response {
  const headers = { "cache-control": "no-store", ...refusalHeaders(error) };
  const { code, message } = error;
  return Response.json({ error: { code, message } }, { status: errorStatus(error), headers });
}

function pathOf(url: string): string {
  const query = url.indexOf("?");
  return query < 0 ? url : url.slice(0, query);
}
