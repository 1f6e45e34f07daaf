/**
 * A small load driver that records the end of every request.
 *
 * Every request has a connection of its own, so that a connection that was idle when its gateway process was
 * killed is never taken for a failure, and a failure always belongs to a request that was under way.
 */
import { randomUUID } from "node:crypto";
import { type IncomingHttpHeaders, request } from "node:http";

export const browser =
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Sent {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** One request on a connection of its own. Rejects when there was no whole answer. */
export function send(url: string, sent: Sent = {}): Promise<Answer> {
  const body = sent.body === undefined ? undefined : JSON.stringify(sent.body);
  return new Promise((resolve, reject) => {
    const outgoing = request(url, {
      method: sent.method ?? "GET",
      agent: false,
      timeout: 20_000,
      headers: {
        "user-agent": browser,
        ...(body === undefined
          ? {}
          : { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
        ...sent.headers,
      },
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error("no answer within 20 s")));
    outgoing.on("error", reject);
    outgoing.on("response", (incoming) => {
      let text = "";
      incoming.setEncoding("utf8");
      incoming.on("data", (part) => (text += part));
      incoming.on("error", reject);
      incoming.on("close", () => {
        if (incoming.complete) {
          resolve({ status: incoming.statusCode as number, headers: incoming.headers, body: text });
        } else reject(new Error("the answer was cut off"));
      });
    });
    outgoing.end(body);
  });
}

export interface VisitRecord {
  readonly code: string;
  /** On the clock of `performance.now()`. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** Undefined when there was no whole answer. */
  readonly answer: Answer | undefined;
  readonly error: Error | undefined;
}

export interface CreationRecord {
  readonly key: string;
  readonly url: string;
  /** Of the last try; undefined when no try was answered by 201. */
  readonly code: string | undefined;
  readonly tries: number;
  /** Every answer there was, of repetitions too. */
  readonly codes: readonly string[];
}

export interface Load {
  readonly visits: readonly VisitRecord[];
  readonly creations: readonly CreationRecord[];
  /** Lets requests under way end; creations are tried until they have an answer. */
  stop(): Promise<void>;
}

/** @param readers visitors at once; @param makers creators at once, each repeating its request until it is answered */
export function startLoad(
  url: string,
  codes: readonly string[],
  { readers = 6, makers = 1 }: { readonly readers?: number; readonly makers?: number } = {},
): Load {
  const visits: VisitRecord[] = [];
  const creations: CreationRecord[] = [];
  let stopped = false;

  const read = async (reader: number) => {
    for (let turn = reader; !stopped; turn++) {
      const code = codes[turn % codes.length] as string;
      const startedAtMs = performance.now();
      const { answer, error } = await send(`${url}/${code}`).then(
        (given) => ({ answer: given, error: undefined }),
        (failure: Error) => ({ answer: undefined, error: failure }),
      );
      visits.push({ code, startedAtMs, endedAtMs: performance.now(), answer, error });
      if (error) await pause(10);
    }
  };

  const make = async () => {
    while (!stopped) {
      const key = randomUUID();
      const target = `https://example.com/made/${key}`;
      const given: string[] = [];
      let tries = 0;
      const giveUpAtMs = performance.now() + 30_000;
      while (given.length === 0 && performance.now() < giveUpAtMs) {
        tries++;
        const once = () =>
          send(`${url}/links`, {
            method: "POST",
            headers: { "idempotency-key": key },
            body: { url: target },
          }).catch(() => undefined);
        // Every third creation is sent twice at the same time, as by an impatient client.
        const answers = await Promise.all(creations.length % 3 === 0 ? [once(), once()] : [once()]);
        for (const answer of answers) {
          if (answer?.status === 201) given.push((JSON.parse(answer.body) as { code: string }).code);
        }
        if (given.length === 0) await pause(50);
      }
      creations.push({ key, url: target, code: given[0], tries, codes: given });
      await pause(20);
    }
  };

  const running = [
    ...Array.from({ length: readers }, (_, reader) => read(reader)),
    ...Array.from({ length: makers }, make),
  ];
  return {
    visits,
    creations,
    async stop() {
      stopped = true;
      await Promise.all(running);
    },
  };
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
