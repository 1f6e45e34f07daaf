/**
 * The server of one service instance: Web `Request` in, Web `Response` out, each request in a call of its own.
 *
 * Requests come from the system's own gateway and services, so the call's headers are believed here. Whatever
 * is refused before the handler ran says so (`holdfast-outcome: not-applied`), so that the sender can safely
 * try another instance; whatever escapes a handler says nothing of the kind.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { callHeaders, headerCounter } from "../call/index.ts";
import { withSession } from "./answer-session.ts";
import { DeadlineSweep } from "./deadline-sweep.ts";
import { closeServer, drainServer } from "./drain-server.ts";
import { refuseUnparsed } from "./parser-refusals.ts";
import { notApplied, type Refusal, refusal, sendRefusal } from "./refusal.ts";
import {
  type ResolvedServeOptions,
  resolveServeOptions,
  type ServedInstance,
  type ServeOptions,
} from "./serve-options.ts";
import { ServedRequest } from "./served-request.ts";

/** Where an instance says whether it takes requests: 200 when it does, 503 while it drains. */
export const healthPath = "/.holdfast/health";

const refusals = {
  overloaded: refusal(
    503,
    "overloaded",
    "This instance has all the requests it can take. Try again shortly.",
    {
      close: false,
      headers: [...notApplied, "retry-after", "1"],
    },
  ),
  bodyTooLarge: (limit: number) =>
    refusal(413, "body-too-large", `The body is larger than the ${limit} bytes that this service takes.`, {
      headers: notApplied,
    }),
  malformed: refusal(400, "malformed-request", "The request's target or Host is not well-formed.", {
    headers: notApplied,
  }),
  expectation: refusal(417, "expectation-failed", "The only expectation that can be met is 100-continue.", {
    headers: notApplied,
  }),
} as const;

/** Starts listening. The handler should be ready: requests may come as soon as this resolves. */
export async function serveFetch(options: ServeOptions): Promise<ServedInstance> {
  const server = new FetchServer(resolveServeOptions(options));
  await server.listen();
  return server;
}

class FetchServer implements ServedInstance {
  readonly #options: ResolvedServeOptions;
  readonly #server: Server;
  readonly #underWay: DeadlineSweep<ServedRequest>;
  readonly #listener: (incoming: IncomingMessage, outgoing: ServerResponse) => unknown;
  readonly #headers = headerCounter();
  #draining = false;

  constructor(options: ResolvedServeOptions) {
    this.#options = options;
    this.#underWay = new DeadlineSweep(options.clock);
    this.#listener = getRequestListener(
      // Only the node:http server below calls this, never the HTTP/2 one that the type allows for.
      (request, { incoming, outgoing }) =>
        this.#answer(request, incoming as IncomingMessage, outgoing as ServerResponse),
      { errorHandler: () => malformedResponse() },
    );
    this.#server = createServer(
      {
        // Senders pool connections and expect them to last: longer than their own idle time.
        keepAliveTimeout: 75_000,
        headersTimeout: 10_000,
        requestTimeout: 30_000,
        connectionsCheckingInterval: 1000,
        maxHeaderSize: 64 << 10,
        requireHostHeader: false,
      },
      (incoming, outgoing) => this.#receive(incoming, outgoing),
    );
    this.#server.on("checkContinue", (incoming: IncomingMessage, outgoing: ServerResponse) =>
      this.#receive(incoming, outgoing, true),
    );
    this.#server.on("checkExpectation", (_incoming, outgoing: ServerResponse) =>
      sendRefusal(outgoing, refusals.expectation),
    );
    this.#server.on("clientError", refuseUnparsed);
  }

  async listen(): Promise<void> {
    const { port, host } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, 511, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
  }

  get host(): string {
    return this.#options.host;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? 0;
  }

  get inFlight(): number {
    return this.#underWay.size;
  }

  get malformedHeaders() {
    return this.#headers.counts;
  }

  get draining(): boolean {
    return this.#draining;
  }

  async drain(withinMs: number): Promise<void> {
    this.#draining = true;
    await drainServer(this.#server, this.#options.clock, withinMs);
  }

  async close(): Promise<void> {
    this.#draining = true;
    await closeServer(this.#server);
  }

  #receive(incoming: IncomingMessage, outgoing: ServerResponse, waitsForContinue = false): void {
    // Requests that reach a draining instance over an open connection are served, and the connection let go.
    if (this.#draining) outgoing.shouldKeepAlive = false;
    if (incoming.url === healthPath) {
      answerHealth(outgoing, this.#draining);
      return;
    }
    const refused = this.#refusalOf(incoming);
    if (refused) {
      sendRefusal(outgoing, refused);
      return;
    }
    if (waitsForContinue) outgoing.writeContinue();
    if (incoming.headers["transfer-encoding"] === undefined) this.#listener(incoming, outgoing);
    else void this.#receiveUnsized(incoming, outgoing);
  }

  #refusalOf(incoming: IncomingMessage): Refusal | undefined {
    const length = incoming.headers["content-length"];
    if (length !== undefined && Number(length) > this.#options.maxBodyBytes) {
      return refusals.bodyTooLarge(this.#options.maxBodyBytes);
    }
    if (this.#underWay.size >= this.#options.maxInFlight) return refusals.overloaded;
    return undefined;
  }

  /** A body that does not say how long it is gets read whole first: a 413 then still means "not applied". */
  async #receiveUnsized(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await readUpTo(incoming, this.#options.maxBodyBytes);
    if (body === "broken") return;
    if (body === "too large") {
      sendRefusal(outgoing, refusals.bodyTooLarge(this.#options.maxBodyBytes));
      return;
    }
    // Where the adapter looks for a body that has been read already.
    Object.assign(incoming, { rawBody: body });
    this.#listener(incoming, outgoing);
  }

  #answer(request: Request, incoming: IncomingMessage, outgoing: ServerResponse): Promise<Response> {
    const { clock, seam, name, handler, timeoutMs } = this.#options;
    const served = new ServedRequest(request, incoming, clock, timeoutMs, this.#headers);
    this.#underWay.add(served);
    return seam
      .operation("service", name, "request", served.call, () => served.run(handler), served.attributes)
      .catch((error: unknown) => served.failed(error))
      .then((response) => {
        const brought = incoming.headers[callHeaders.session] as string | undefined;
        return withSession(response, served.call, brought, this.#headers);
      })
      .finally(() => {
        this.#underWay.delete(served);
        if (this.#draining) outgoing.shouldKeepAlive = false;
      });
  }
}

function answerHealth(outgoing: ServerResponse, draining: boolean): void {
  const body = draining ? '{"status":"draining"}' : '{"status":"ready"}';
  const headers = ["content-type", "application/json", "content-length", String(body.length)];
  outgoing.writeHead(draining ? 503 : 200, draining ? [...headers, ...notApplied] : headers);
  outgoing.end(body);
}

function malformedResponse(): Response {
  const { status, code, message } = refusals.malformed;
  const headers = { [notApplied[0]]: notApplied[1], "cache-control": "no-store" };
  return Response.json({ error: { code, message } }, { status, headers });
}

function readUpTo(incoming: IncomingMessage, bytesMax: number): Promise<Buffer | "too large" | "broken"> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    incoming.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > bytesMax) resolve("too large");
      else chunks.push(chunk);
    });
    incoming.on("end", () => resolve(Buffer.concat(chunks)));
    incoming.on("error", () => resolve("broken"));
    incoming.on("close", () => resolve("broken"));
  });
}
