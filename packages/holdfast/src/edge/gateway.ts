/**
 * One gateway process: HTTP in, strict; HTTP out to the instances of the services, balanced and tried again
 * where that is safe.
 *
 * This file receives: it owns the server, its limits and the way of a request up to its first attempt.
 * `exchange.ts` carries the request from there, `endpoints.ts` knows the instances.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline, type Readable } from "node:stream";
import { callFromOutside, formatTraceparent, HoldfastError, headerCounter } from "../call/index.ts";
import { uuidv7Generator } from "../clock/ids/index.ts";
import { retryBudget } from "../resilience/index.ts";
import { BodyLimit } from "./body-limit.ts";
import { DeadlineSweep } from "./deadline-sweep.ts";
import { closeServer, drainServer } from "./drain-server.ts";
import { ServiceEndpoints } from "./endpoints.ts";
import { Exchange, type ExchangeEnvironment, type ExchangeTarget } from "./exchange.ts";
import { appendForwarded, type TrustedProxies, trustedProxies } from "./forwarded.ts";
import {
  type GatewayEndpoint,
  type GatewayStartOptions,
  type GatewayStats,
  type ResolvedGatewayStart,
  type RunningGateway,
  resolveGatewayStart,
} from "./gateway-options.ts";
import { reportExchange, reportRefusal } from "./gateway-report.ts";
import { gatewaySessions } from "./gateway-sessions.ts";
import { endWithRefusal, refuseUnparsed } from "./parser-refusals.ts";
import { type Refusal, refusal, sendRefusal } from "./refusal.ts";
import { allowedMethods, type RequestHead, readRequestHead } from "./request-head.ts";
import { compileRoutes, type RouteTable } from "./routes.ts";

/** The death of one instance fails everything it had under way at once: that much can be saved up. */
const savedAttempts = 256;

const refusals = {
  noRoute: refusal(404, "no-route", "Nothing is here. Check the path.", { close: false }),
  overloaded: refusal(503, "overloaded", "The gateway has all the requests it can take. Try again shortly.", {
    headers: ["retry-after", "1"],
  }),
  connect: refusal(405, "method-not-allowed", "This is no forward proxy: CONNECT is not supported."),
  expectation: refusal(417, "expectation-failed", "The only expectation that can be met is 100-continue."),
} as const;

/**
 * Starts taking requests.
 *
 * @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID, HOLDFAST_PORT_IN_USE
 */
export async function startGateway(options: GatewayStartOptions): Promise<RunningGateway> {
  const gateway = new GatewayServer(resolveGatewayStart(options));
  await gateway.listen();
  return gateway;
}

class GatewayServer implements RunningGateway {
  readonly #options: ResolvedGatewayStart;
  readonly #server: Server;
  readonly #routes: RouteTable;
  readonly #trusted: TrustedProxies | undefined;
  readonly #underWay: DeadlineSweep<Exchange>;
  readonly #environment: ExchangeEnvironment;
  readonly #headers = headerCounter();
  readonly #targets = new Map<string, ExchangeTarget>();
  readonly #nextId: () => string;
  #address = { host: "", port: 0 };
  #connections = 0;
  #answered = 0;
  #refused = 0;
  #retries = 0;
  #draining = false;

  constructor(options: ResolvedGatewayStart) {
    const { limits, clock } = options;
    this.#options = options;
    this.#routes = compileRoutes(options.routes);
    this.#trusted = trustedProxies(options.trustedProxies);
    this.#underWay = new DeadlineSweep(clock);
    this.#nextId = uuidv7Generator(clock);
    this.#environment = {
      clock,
      attemptsMax: options.attempts,
      underWay: this.#underWay,
      draining: () => this.#draining,
      sessions: options.sessions && gatewaySessions(options.sessions),
      retried: () => {
        this.#retries++;
      },
    };
    for (const { service } of options.routes) this.#targetOf(service);
    this.#server = createServer(
      {
        headersTimeout: limits.headersMs,
        requestTimeout: limits.requestMs,
        keepAliveTimeout: limits.keepAliveMs,
        connectionsCheckingInterval: limits.checkMs,
        maxHeaderSize: limits.headerBytes,
        // Checked by our own rules, which answer with a reason.
        requireHostHeader: false,
      },
      (incoming, response) => this.#receive(incoming, response, false),
    );
    // Node would drop what is beyond its count without a word; ours is refused.
    this.#server.maxHeadersCount = 0;
    this.#server.maxConnections = limits.connections;
    this.#server.timeout = limits.stalledMs;
    this.#server.on("connection", (socket) => {
      this.#connections++;
      socket.on("close", this.#disconnected);
    });
    this.#server.on("checkContinue", (incoming: IncomingMessage, response: ServerResponse) =>
      this.#receive(incoming, response, true),
    );
    this.#server.on("checkExpectation", (incoming: IncomingMessage, response: ServerResponse) =>
      this.#refuse(incoming, response, refusals.expectation),
    );
    this.#server.on("connect", (_incoming, socket) => {
      this.#refused++;
      endWithRefusal(socket, refusals.connect);
    });
    this.#server.on("clientError", (error, socket) => {
      // A client that hangs up has sent nothing wrong.
      if ((error as { code?: string }).code !== "ECONNRESET") this.#refused++;
      refuseUnparsed(error, socket);
    });
  }

  async listen(): Promise<void> {
    const { listen } = this.#options;
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error & { code?: string }) => reject(cannotListen(listen, error));
      this.#server.once("error", failed);
      this.#server.listen({ ...listen, backlog: 511 }, () => {
        this.#server.off("error", failed);
        resolve();
      });
    });
    const { address, port } = this.#server.address() as AddressInfo;
    this.#address = { host: address, port };
  }

  get address(): { readonly host: string; readonly port: number } {
    return this.#address;
  }

  setEndpoints(service: string, endpoints: readonly GatewayEndpoint[]): void {
    this.#targetOf(service).endpoints.replace(endpoints);
  }

  stats(): GatewayStats {
    const nowMs = this.#options.clock.monotonicMs();
    return {
      connections: this.#connections,
      inFlight: this.#underWay.size,
      answered: this.#answered,
      refused: this.#refused,
      retries: this.#retries,
      malformedHeaders: this.#headers.counts,
      ignoredSessions: this.#environment.sessions?.ignored ?? 0,
      endpoints: [...this.#targets].flatMap(([service, { endpoints }]) =>
        endpoints.all.map((endpoint) => ({
          service,
          id: endpoint.id,
          inFlight: endpoint.inFlight,
          healthy: endpoint.healthy(nowMs),
        })),
      ),
    };
  }

  async drain(withinMs: number): Promise<void> {
    this.#draining = true;
    await drainServer(this.#server, this.#options.clock, withinMs);
    await this.#closeTargets();
  }

  async close(): Promise<void> {
    this.#draining = true;
    await closeServer(this.#server);
    await this.#closeTargets();
  }

  async #closeTargets(): Promise<void> {
    await Promise.all([...this.#targets.values()].map(({ endpoints }) => endpoints.close()));
  }

  #targetOf(service: string): ExchangeTarget {
    let target = this.#targets.get(service);
    if (target === undefined) {
      const { clock, healthMs } = this.#options;
      target = {
        endpoints: new ServiceEndpoints(clock, healthMs),
        budget: retryBudget(clock, { savedMax: savedAttempts }),
      };
      this.#targets.set(service, target);
    }
    return target;
  }

  readonly #disconnected = (): void => {
    this.#connections--;
  };

  #receive(incoming: IncomingMessage, response: ServerResponse, waitsForContinue: boolean): void {
    if (this.#draining) response.shouldKeepAlive = false;
    const { limits } = this.#options;
    const head = readRequestHead(incoming, limits);
    if ("status" in head) {
      this.#refuse(incoming, response, head);
      return;
    }
    if (head.target === "*") {
      this.#answered++;
      response.writeHead(204, ["allow", allowedMethods]);
      response.end();
      return;
    }
    const service = this.#routes(head.path);
    if (service === undefined) {
      this.#refuse(incoming, response, refusals.noRoute);
      return;
    }
    if (this.#underWay.size >= limits.inFlight) {
      this.#refuse(incoming, response, refusals.overloaded);
      return;
    }
    if (waitsForContinue) response.writeContinue();
    this.#answered++;
    const target = this.#targetOf(service);
    const { bodyBytes } = head;
    if (bodyBytes === 0) this.#begin(incoming, response, head, target, null);
    else if (bodyBytes > limits.replayBytes) this.#begin(incoming, response, head, target, incoming);
    else if (bodyBytes > 0) {
      readWhole(incoming, bodyBytes, (body) => this.#begin(incoming, response, head, target, body));
    } else {
      const body = new BodyLimit(limits.bodyBytes);
      // Whoever reads the limited body hears of every error.
      pipeline(incoming, body, () => undefined);
      this.#begin(incoming, response, head, target, body);
    }
  }

  #begin(
    incoming: IncomingMessage,
    response: ServerResponse,
    head: RequestHead,
    target: ExchangeTarget,
    body: Buffer | Readable | null,
  ): void {
    const { clock, timeoutMs, seam, name } = this.#options;
    const { traceparent, tracestate, headers } = head;
    const { trace } = callFromOutside(
      (field) => (field === "traceparent" ? traceparent : field === "tracestate" ? tracestate : undefined),
      clock,
      this.#headers,
    );
    const requestId = this.#nextId();
    if (trace) {
      headers.push("traceparent", formatTraceparent(trace));
      if (trace.state !== undefined) headers.push("tracestate", trace.state);
    }
    this.#environment.sessions?.take(head);
    appendForwarded(headers, head, incoming.socket.remoteAddress ?? "", this.#trusted);
    headers.push("holdfast-request-id", requestId);
    const exchange = new Exchange(
      this.#environment,
      target,
      head,
      headers,
      clock.monotonicMs() + timeoutMs,
      body,
      response,
      seam.observed ? reportExchange(seam, clock, name, head, trace, requestId) : undefined,
    );
    // Also after a complete answer, when the exchange is over and does not care.
    (response as CarriesExchange)[exchangeKey] = exchange;
    response.on("close", abandonExchange);
    exchange.attempt();
  }

  #refuse(incoming: IncomingMessage, response: ServerResponse, refused: Refusal): void {
    this.#answered++;
    this.#refused++;
    const { seam, name } = this.#options;
    if (seam.observed) reportRefusal(seam, name, incoming.method as string, refused);
    sendRefusal(response, refused);
  }
}

const exchangeKey = Symbol("exchange");
type CarriesExchange = ServerResponse & { [exchangeKey]?: Exchange };

/** One function for all responses, instead of a closure for each. */
function abandonExchange(this: CarriesExchange): void {
  this[exchangeKey]?.abandon();
}

/** A client that goes away in the middle is never heard of again: nothing was begun for it. */
function readWhole(incoming: IncomingMessage, bytes: number, whole: (body: Buffer) => void): void {
  const chunks: Buffer[] = [];
  incoming.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
  });
  incoming.on("end", () => whole(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, bytes)));
}

function cannotListen(listen: GatewayStartOptions["listen"], error: Error & { code?: string }): Error {
  if (error.code !== "EADDRINUSE") return error;
  const where = "fd" in listen ? "of the inherited socket" : `${listen.port} on ${listen.host}`;
  return new HoldfastError(
    "HOLDFAST_PORT_IN_USE",
    `Port ${where} is taken by another program. Stop it, or choose another port with --port.`,
    { cause: error, data: "fd" in listen ? {} : { ...listen } },
  );
}
