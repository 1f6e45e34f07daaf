/**
 * One request on its way through the gateway: attempts against instances, and the one answer the client gets.
 *
 * It is itself the handler that undici calls back, so that a request costs one object and no closures. It ends
 * exactly once (`#end`): answered, refused, cut off in mid-answer, or left by its client.
 *
 * What may be tried again: what certainly did not happen (never sent, or an instance says that it refused it
 * before its handler ran), and what is idempotent by its method or its key. Only before the first byte of an
 * answer, while the body can still be sent again, and within attempts, budget and deadline.
 */
import type { ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { type Idempotence, mayRetry, type Outcome, readFailedAnswer } from "../call/index.ts";
import type { Clock } from "../clock/index.ts";
import type { RetryBudget } from "../resilience/index.ts";
import { readAnswerHead } from "./answer-head.ts";
import { BodyTooLarge } from "./body-limit.ts";
import type { DeadlineSweep, Expiring } from "./deadline-sweep.ts";
import type { Endpoint, ServiceEndpoints } from "./endpoints.ts";
import type { GatewaySessions } from "./gateway-sessions.ts";
import { type Refusal, refusal, sendRefusal } from "./refusal.ts";
import type { RequestHead } from "./request-head.ts";

export interface ExchangeEnvironment {
  readonly clock: Clock;
  readonly attemptsMax: number;
  readonly underWay: DeadlineSweep<Exchange>;
  /** Whether the gateway is stopping: each answer then closes its connection. */
  readonly draining: () => boolean;
  /** Absent where sessions end at the gateway. */
  readonly sessions: GatewaySessions | undefined;
  /** Told when an attempt beyond the first is made. */
  readonly retried: () => void;
}

export interface ExchangeTarget {
  readonly endpoints: ServiceEndpoints;
  readonly budget: RetryBudget;
}

/** How it ended, for the seam. */
export interface ExchangeEnd {
  readonly status: number;
  readonly outcome: Outcome;
  readonly attempts: number;
  readonly endpoint: string | undefined;
}

const retryShortly = { close: false, headers: ["retry-after", "1"] } as const;
const refusals = {
  noInstance: refusal(
    503,
    "no-instance",
    "No instance of the service is running. Try again shortly.",
    retryShortly,
  ),
  unavailable: refusal(
    503,
    "unavailable",
    "The service cannot be reached; the request was not carried out. Try again shortly.",
    retryShortly,
  ),
  broken: refusal(
    502,
    "connection-lost",
    "The instance broke off. The request may have been carried out: check, or send it again with the same Idempotency-Key.",
    { close: false },
  ),
  late: refusal(
    504,
    "deadline",
    "The request took too long. It may have been carried out: check, or send it again with the same Idempotency-Key.",
  ),
  tooLarge: refusal(413, "body-too-large", "The body is larger than the gateway takes. Send it in parts."),
  malformed: refusal(400, "malformed-request", "The request cannot be sent on as it is."),
} as const;

/** Nothing can have been applied by these, however their attempts ended. */
const safeMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
const natureMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);
const gone = new Error("the client has gone");
const late = new Error("the deadline has passed");
const unwanted = new Error("this answer is not handed on");

/** Bodies up to this size are copied into one write with their head. */
const joinBytesMax = 16 << 10;

/** Longest wait before an instance that has failed already is tried again, in milliseconds. */
const secondTryMsMax = 50;

export class Exchange implements Dispatcher.DispatchHandler, Expiring {
  readonly deadlineAtMs: number;
  slot = -1;
  readonly #environment: ExchangeEnvironment;
  readonly #target: ExchangeTarget;
  readonly #head: RequestHead;
  readonly #response: ServerResponse;
  readonly #body: Buffer | Readable | null;
  readonly #idempotence: Idempotence;
  readonly #ended: ((end: ExchangeEnd) => void) | undefined;
  /** To send on; the value of `holdfast-deadline` is the last entry until a second attempt adds its number. */
  readonly #headers: string[];
  readonly #deadlineIndex: number;
  #tried: Endpoint[] | undefined;
  #endpoint: Endpoint | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #attempts = 0;
  #sent = false;
  /** An earlier attempt may have been applied: a later one that was refused does not take that back. */
  #doubt = false;
  /** The answer at hand is a refusal that will be tried again elsewhere: its body is not wanted. */
  #discarding = false;
  #over = false;
  #started = false;
  #wrote = false;
  #waitsForDrain = false;
  #bodyBytes = -1;
  #whole: Buffer | undefined;

  constructor(
    environment: ExchangeEnvironment,
    target: ExchangeTarget,
    head: RequestHead,
    headers: string[],
    deadlineAtMs: number,
    body: Buffer | Readable | null,
    response: ServerResponse,
    ended: ((end: ExchangeEnd) => void) | undefined,
  ) {
    this.#environment = environment;
    this.#target = target;
    this.#head = head;
    this.#response = response;
    this.#body = body;
    this.#ended = ended;
    this.deadlineAtMs = deadlineAtMs;
    this.#idempotence = natureMethods.has(head.method)
      ? "nature"
      : head.idempotencyKey !== undefined
        ? "key"
        : "no";
    headers.push("holdfast-deadline", "");
    this.#headers = headers;
    this.#deadlineIndex = headers.length - 1;
    environment.underWay.add(this);
  }

  get over(): boolean {
    return this.#over;
  }

  /** Makes one attempt. Whatever becomes of it is heard by the methods below. */
  attempt(): void {
    if (this.#over) return;
    const nowMs = this.#environment.clock.monotonicMs();
    const leftMs = this.deadlineAtMs - nowMs;
    if (leftMs <= 0) {
      this.expire();
      return;
    }
    const endpoint = this.#target.endpoints.pick(nowMs, this.#tried ?? none);
    if (endpoint === undefined) {
      this.#refuse(this.#doubt ? refusals.broken : refusals.noInstance, this.#outcome());
      return;
    }
    const headers = this.#headers;
    headers[this.#deadlineIndex] = String(Math.ceil(leftMs));
    this.#attempts++;
    if (this.#attempts === 2) headers.push("holdfast-attempt", "");
    if (this.#attempts > 1) headers[headers.length - 1] = String(this.#attempts);
    this.#endpoint = endpoint;
    this.#sent = false;
    endpoint.inFlight++;
    const { method, target: path } = this.#head;
    endpoint.pool.dispatch({ method, path, headers, body: this.#body }, this);
  }

  /** The client has closed its connection. */
  abandon(): void {
    if (this.#over) return;
    this.#end(0, this.#outcome());
    this.#controller?.abort(gone);
  }

  expire(): void {
    if (this.#over) return;
    const controller = this.#controller;
    this.#refuse(refusals.late, this.#outcome());
    controller?.abort(late);
  }

  // What undici calls back.

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // Ended while it waited for a connection.
    if (this.#over) controller.abort(gone);
    else this.#sent = true;
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    parsed: Record<string, string | string[] | undefined>,
  ): void {
    if (this.#over || status < 200) return;
    if (status >= 500 && this.#mayTryAgainAfter(parsed)) {
      this.#discarding = true;
      return;
    }
    if (status >= 500 && this.#doubt && readFailure(parsed).outcome === "not-applied") {
      this.#endpoint?.tell(answered);
      this.#refuse(refusals.broken, "unknown");
      controller.abort(unwanted);
      return;
    }
    const { headers, bodyBytes, session } = readAnswerHead(parsed);
    if (session !== undefined) {
      this.#environment.sessions?.give(session, headers, this.#head.forwardedProto === "https");
    }
    const response = this.#response;
    this.#started = true;
    this.#bodyBytes = bodyBytes;
    if (this.#head.ignoredUpgrade || this.#environment.draining()) response.shouldKeepAlive = false;
    response.writeHead(status, headers);
    if (bodyBytes >= 0) return;
    // A stream: its head should not wait for its first bytes, and it may well outlast the deadline.
    process.nextTick(flushHead, this);
    if (isEventStream(parsed)) this.#environment.underWay.delete(this);
    if (response.destroyed) controller.abort(gone);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over || this.#discarding) return;
    if (!this.#wrote && chunk.length === this.#bodyBytes) {
      this.#whole = chunk;
      return;
    }
    this.#wrote = true;
    if (this.#response.write(chunk)) return;
    controller.pause();
    if (this.#waitsForDrain) return;
    this.#waitsForDrain = true;
    this.#response.on("drain", () => this.#controller?.resume());
  }

  onResponseEnd(): void {
    if (this.#over) return;
    this.#endpoint?.tell(answered);
    if (this.#discarding) {
      this.#tryAgain();
      return;
    }
    this.#target.budget.succeeded();
    const response = this.#response;
    const { statusCode } = response;
    this.#end(statusCode, statusCode < 500 ? "applied" : "unknown");
    const whole = this.#whole;
    if (whole === undefined) response.end();
    // Head and body as one string are one write; a string and a buffer are a gathered one, at twice the price.
    else if (whole.length <= joinBytesMax) response.end(whole.toString("latin1"), "latin1");
    else response.end(whole);
  }

  onResponseError(_controller: unknown, error: Error & { code?: string }): void {
    if (this.#over) return;
    if (error instanceof BodyTooLarge) {
      this.#refuse(refusals.tooLarge, "unknown");
      return;
    }
    if (error.code === "UND_ERR_INVALID_ARG" || error.code === "UND_ERR_NOT_SUPPORTED") {
      this.#refuse(refusals.malformed, this.#doubt ? "unknown" : "not-applied");
      return;
    }
    if (this.#discarding) {
      // The refusal was heard before the connection broke.
      this.#tryAgain();
      return;
    }
    this.#endpoint?.tell({ kind: "broken", nowMs: this.#environment.clock.monotonicMs() });
    const outcome = this.#sent ? "unknown" : "not-applied";
    if (this.#started) {
      // Half an answer is out: all that is left is to let the client see that it is only half.
      this.#end(this.#response.statusCode, outcome);
      this.#response.destroy();
    } else if (this.#mayTryAgain(outcome, false)) {
      this.#doubt ||= this.#sent && !safeMethods.has(this.#head.method);
      this.#tryAgain();
    } else this.#refuse(this.#sent || this.#doubt ? refusals.broken : refusals.unavailable, this.#outcome());
  }

  /** Sends the head of a streamed answer before its first bytes. */
  flushHead(): void {
    if (!this.#over && !this.#wrote && this.#started) this.#response.flushHeaders();
  }

  #mayTryAgainAfter(answer: Record<string, string | string[] | undefined>): boolean {
    const said = readFailure(answer);
    // A failure that does not say so may have done something, and would most likely fail again.
    return said.outcome === "not-applied" && this.#mayTryAgain(said.outcome, said.permanent);
  }

  #mayTryAgain(outcome: Outcome, permanent: boolean): boolean {
    if (this.#attempts >= this.#environment.attemptsMax) return false;
    if (!mayRetry(outcome, permanent, this.#idempotence)) return false;
    // A streamed body is gone once it was sent.
    if (this.#sent && this.#body !== null && !Buffer.isBuffer(this.#body)) return false;
    return this.#target.budget.takeExtraAttempt();
  }

  #tryAgain(): void {
    const { clock, retried } = this.#environment;
    retried();
    this.#tried ??= [];
    const failed = this.#endpoint as Endpoint;
    this.#tried.push(failed);
    this.#release();
    this.#discarding = false;
    this.#sent = false;
    this.#controller = undefined;
    if (this.#target.endpoints.all.some((endpoint) => !this.#tried?.includes(endpoint))) this.attempt();
    // Every instance has failed this request: give them a moment.
    else clock.timer(clock.random.next() * secondTryMsMax * 2 ** this.#attempts, () => this.attempt());
  }

  #refuse(refused: Refusal, outcome: Outcome): void {
    const started = this.#started;
    this.#end(refused.status, outcome);
    if (started) this.#response.destroy();
    else sendRefusal(this.#response, refused);
  }

  /** Of the request, over all of its attempts. */
  #outcome(): Outcome {
    return this.#sent || this.#doubt ? "unknown" : "not-applied";
  }

  #release(): void {
    if (this.#endpoint === undefined) return;
    this.#endpoint.inFlight--;
    this.#endpoint = undefined;
  }

  #end(status: number, outcome: Outcome): void {
    this.#over = true;
    const endpoint = this.#endpoint?.id;
    this.#release();
    this.#environment.underWay.delete(this);
    this.#ended?.({ status, outcome, attempts: this.#attempts, endpoint });
  }
}

const none: readonly Endpoint[] = [];
const answered = { kind: "answered" } as const;

function readFailure(answer: Record<string, string | string[] | undefined>) {
  return readFailedAnswer((name) => answer[name] as string | undefined);
}

function flushHead(exchange: Exchange): void {
  exchange.flushHead();
}

function isEventStream(headers: Record<string, string | string[] | undefined>): boolean {
  const type = headers["content-type"];
  return typeof type === "string" && type.startsWith("text/event-stream");
}
