/** One Redis server, or sentinel, of a test: its configuration file, its process, and commands to it. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { ServerProcess } from "./server-process.ts";

const run = promisify(execFile);
const answerMs = 2_000;

export interface RedisProcessOptions {
  readonly command: string;
  /** Path of redis-cli. */
  readonly cli: string;
  readonly name: string;
  readonly dir: string;
  readonly port: number;
  readonly password: string;
  /** Further lines of the configuration file. */
  readonly lines: readonly string[];
  readonly sentinel: boolean;
}

export class RedisProcess extends ServerProcess {
  readonly password: string;
  readonly #cli: string;

  static async make(options: RedisProcessOptions): Promise<RedisProcess> {
    const { dir, port, password, lines, sentinel } = options;
    const text = [
      "bind 127.0.0.1",
      `port ${port}`,
      `dir ${dir}`,
      `requirepass ${password}`,
      ...(sentinel
        ? []
        : [
            `masterauth ${password}`,
            // What was acknowledged survives the end of the process.
            "appendonly yes",
            'save ""',
            // Replicas are copied at once, and without a file in between.
            "repl-diskless-sync yes",
            "repl-diskless-sync-delay 0",
          ]),
      ...lines,
    ];
    // Sentinels write what they learn into their file, so it is made once and stays over restarts.
    await writeFile(join(dir, "redis.conf"), `${text.join("\n")}\n`, { mode: 0o600 });
    return new RedisProcess(options);
  }

  private constructor({ command, cli, name, dir, port, password, sentinel }: RedisProcessOptions) {
    super({
      name,
      command,
      args: [join(dir, "redis.conf"), ...(sentinel ? ["--sentinel"] : [])],
      dir,
      port,
      answers: async () => {
        // Nobody takes a stranger on the same port for this server.
        const info = await this.info();
        return info.get("process_id") === String(this.pid) && info.get("loading") !== "1";
      },
    });
    this.password = password;
    this.#cli = cli;
  }

  async command(...words: string[]): Promise<string> {
    // -e: an error in the answer is an error of redis-cli.
    const { stdout } = await run(this.#cli, ["-e", "-h", this.host, "-p", String(this.port), ...words], {
      env: { REDISCLI_AUTH: this.password },
      timeout: answerMs,
      killSignal: "SIGKILL",
    });
    return stdout.replace(/\n$/, "");
  }

  /** The fields of INFO. */
  async info(section = "everything"): Promise<ReadonlyMap<string, string>> {
    return fieldsOf(await this.command("info", section));
  }

  /** `master` or `slave`, or undefined when it does not answer. */
  async role(): Promise<string | undefined> {
    if (!this.running) return undefined;
    return this.info("replication").then(
      (info) => info.get("role"),
      () => undefined,
    );
  }
}

/** Lines of `name:value`, as INFO and CLUSTER INFO give them. */
export function fieldsOf(text: string): ReadonlyMap<string, string> {
  const lines = text.split(/\r?\n/).filter((line) => line.includes(":"));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]));
}
