/**
 * How `holdfast status` and `holdfast down` reach the supervisor: HTTP over a Unix socket in a private folder.
 * The folder is in the system's place for temporary files, because a socket's path may have at most 107 bytes.
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type ErrorCode, HoldfastError } from "../call/index.ts";
import { answerMigrate, type MigrateRun } from "./migrate-request.ts";
import type { MessageParts, RunningDatabases } from "./running-databases.ts";
import type { SystemStatus } from "./status.ts";

export interface ControlSocket {
  readonly path: string;
  /** Removes the folder. May be called twice. */
  remove(): void;
}

const socketPathBytesMax = 107;

export function makeControlSocket(): ControlSocket {
  const name = "holdfast-";
  // Six characters are added by mkdtemp, then the socket's own name.
  const fits = Buffer.byteLength(join(tmpdir(), name)) + 6 + "/control.sock".length <= socketPathBytesMax;
  const dir = mkdtempSync(join(fits ? tmpdir() : "/tmp", name));
  chmodSync(dir, 0o700);
  return { path: join(dir, "control.sock"), remove: () => removeControlSocket(join(dir, "control.sock")) };
}

/** Removes what a dead supervisor's socket left. */
export function removeControlSocket(path: string): void {
  const dir = dirname(path);
  // The path comes from a file: only what was made above is ever removed.
  if (/\/holdfast-[^/]{6}$/.test(dir)) rmSync(dir, { recursive: true, force: true });
}

export interface ControlRequests {
  status(): Promise<SystemStatus>;
  /** Begins to stop; the answer does not wait for the end. */
  down(): void;
  /** Where the databases are, for verbs that work on them: with passwords, and therefore only here. */
  databases?(): RunningDatabases;
  /** What has messages, and where each has its home. */
  messages?(): MessageParts;
  /** Has all nodes archive their log: `on`, `off`, or a folder. */
  archive?(how: string): Promise<void>;
  /** Pauses a schedule, or resumes it. */
  schedule?(name: string, how: "pause" | "resume"): Promise<void>;
  readonly migrate?: MigrateRun;
}

export interface ControlServer {
  close(): void;
}

export function serveControl(path: string, requests: ControlRequests): Promise<ControlServer> {
  const server = createServer((incoming, answer) => {
    const send = (status: number, body: unknown) => {
      answer.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    const answered = (work: Promise<unknown>) =>
      work.then(
        (value) => send(200, value),
        (error: unknown) => {
          if (error instanceof HoldfastError) {
            const { code, message, data } = error;
            send(500, { error: { code, message, data } });
          } else send(500, { message: String(error) });
        },
      );
    const url = new URL(incoming.url ?? "/", "http://supervisor");
    if (incoming.method === "GET" && url.pathname === "/status") {
      void answered(requests.status());
    } else if (incoming.method === "GET" && url.pathname === "/databases" && requests.databases) {
      send(200, requests.databases());
    } else if (incoming.method === "GET" && url.pathname === "/messages" && requests.messages) {
      send(200, requests.messages());
    } else if (incoming.method === "POST" && url.pathname === "/archive" && requests.archive) {
      void answered(requests.archive(url.searchParams.get("to") ?? "on").then(() => ({})));
    } else if (incoming.method === "POST" && url.pathname === "/schedule" && requests.schedule) {
      const { schedule } = requests;
      const how = url.searchParams.get("do") === "resume" ? "resume" : "pause";
      const set = async () => schedule(url.searchParams.get("name") ?? "", how);
      void answered(set().then(() => ({})));
    } else if (incoming.method === "POST" && url.pathname === "/down") {
      requests.down();
      send(202, {});
    } else if (requests.migrate && incoming.url === "/migrate") {
      void answerMigrate(incoming, answer, requests.migrate);
    } else {
      send(404, {
        message:
          "There is GET /status, GET /databases, GET /messages, POST /archive?to=on, POST /schedule?name=N&do=pause, POST /down, and GET or POST /migrate.",
      });
    }
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      chmodSync(path, 0o600);
      resolve({
        close() {
          server.close();
          server.closeAllConnections();
        },
      });
    });
  });
}

interface Refusal {
  readonly error: {
    readonly code: ErrorCode;
    readonly message: string;
    readonly data: Record<string, unknown>;
  };
}

function isRefusal(value: unknown): value is Refusal {
  return typeof (value as Partial<Refusal> | null)?.error?.code === "string";
}

/** @throws {HoldfastError} what the supervisor refused with; HOLDFAST_UNAVAILABLE when the supervisor does not answer within five seconds */
export function askControl(path: string, method: "GET" | "POST", url: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) =>
      reject(
        new HoldfastError(
          "HOLDFAST_UNAVAILABLE",
          `The supervisor does not answer: ${(cause as Error).message}. It may be paused or just ending; try again, or end it with its pid.`,
          { cause },
        ),
      );
    const asking = request({ socketPath: path, method, path: url, timeout: 5_000 }, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => {
        body += chunk;
      });
      answer.once("error", fail);
      answer.once("end", () => {
        try {
          const value: unknown = JSON.parse(body);
          if (answer.statusCode && answer.statusCode < 300) resolve(value);
          else if (isRefusal(value))
            reject(new HoldfastError(value.error.code, value.error.message, { data: value.error.data }));
          else fail(new Error(`it answered ${answer.statusCode} ${body}`));
        } catch (error) {
          fail(error);
        }
      });
    });
    asking.once("timeout", () => asking.destroy(new Error("no answer in 5 s")));
    asking.once("error", fail);
    asking.end();
  });
}
