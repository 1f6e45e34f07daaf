/**
 * `holdfast migrate` to a running supervisor: a request on its control socket, answered with one line of JSON for each
 * event as it happens, and a last one that says how it ended.
 */
import { request, type ServerResponse } from "node:http";
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

export type MigrateRun = (check: boolean, tell: (event: MigrateEvent) => void) => Promise<void>;

/** The supervisor's side. */
export async function answerMigrate(answer: ServerResponse, check: boolean, run: MigrateRun): Promise<void> {
  answer.writeHead(200, { "content-type": "application/x-ndjson" });
  const say = (line: Line) => answer.write(`${JSON.stringify(line)}\n`);
  try {
    await run(check, (event) => say({ event }));
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
export function askMigrate(path: string, check: boolean, tell: (event: MigrateEvent) => void): Promise<void> {
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
      { socketPath: path, method: check ? "GET" : "POST", path: "/migrate" },
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
