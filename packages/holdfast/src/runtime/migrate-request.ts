/**
 * `holdfast migrate` to a running supervisor: a request on its control socket, answered with one line of JSON for each
 * event as it happens, and a last one that says how it ended.
 */
import { type IncomingMessage, request, type ServerResponse } from "node:http";
import { type ErrorCode, HoldfastError } from "../call/index.ts";
import type { MigrateEvent } from "./migrate-events.ts";

type Line =
  | { readonly event: MigrateEvent }
  | { readonly end: true }
  | {
      readonly error: {
        readonly code: string;
        readonly message: string;
        readonly data: Record<string, unknown>;
      };
    };

export interface MigrateRequest {
  /** Only say what is pending. */
  readonly check: boolean;
  /** The one that is meant, when the caller named one. */
  readonly systemFile: string | undefined;
}

export type MigrateRun = (request: MigrateRequest, tell: (event: MigrateEvent) => void) => Promise<void>;

const systemHeader = "holdfast-system-file";

/** The supervisor's side. */
export async function answerMigrate(
  asked: IncomingMessage,
  answer: ServerResponse,
  run: MigrateRun,
): Promise<void> {
  answer.writeHead(200, { "content-type": "application/x-ndjson" });
  const say = (line: Line) => answer.write(`${JSON.stringify(line)}\n`);
  try {
    const named = asked.headers[systemHeader];
    const systemFile = typeof named === "string" ? decodeURIComponent(named) : undefined;
    await run({ check: asked.method === "GET", systemFile }, (event) => say({ event }));
    say({ end: true });
  } catch (error) {
    const { code, message, data } =
      error instanceof HoldfastError
        ? error
        : { code: "HOLDFAST_UNAVAILABLE", message: String(error), data: {} };
    say({ error: { code, message, data } });
  }
  answer.end();
}

/**
 * The command's side. No time limit: an index may take hours to build, and whoever waits may leave; the supervisor
 * then goes on.
 *
 * @throws {HoldfastError} what the migration ended with; HOLDFAST_UNAVAILABLE when the supervisor is gone
 */
export function askMigrate(
  path: string,
  { check, systemFile }: MigrateRequest,
  tell: (event: MigrateEvent) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let rest = "";
    const fail = (why: string) =>
      reject(
        new HoldfastError(
          "HOLDFAST_UNAVAILABLE",
          `The supervisor did not answer to the end: ${why}. What was migrated stays; \`holdfast migrate --check\` shows what is left.`,
          { outcome: "unknown" },
        ),
      );
    const take = (text: string) => {
      const line = JSON.parse(text) as Line;
      if ("event" in line) tell(line.event);
      else if ("end" in line) resolve();
      else {
        const { code, message, data } = line.error;
        reject(new HoldfastError(code as ErrorCode, message, { data }));
      }
    };
    const asking = request(
      {
        socketPath: path,
        method: check ? "GET" : "POST",
        path: "/migrate",
        headers: systemFile ? { [systemHeader]: encodeURIComponent(systemFile) } : {},
      },
      (answer) => {
        answer.setEncoding("utf8");
        answer.on("data", (chunk: string) => {
          const lines = (rest + chunk).split("\n");
          rest = lines.pop() ?? "";
          for (const line of lines) take(line);
        });
        answer.once("error", (error) => fail(error.message));
        answer.once("end", () => fail("its answer ended early"));
      },
    );
    asking.once("error", (error) => fail(error.message));
    asking.end();
  });
}
