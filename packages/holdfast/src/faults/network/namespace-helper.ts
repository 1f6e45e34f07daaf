/** A process in a namespace that sends through links for probes, and echoes what others send. */
import { type ChildProcess, spawn } from "node:child_process";
import type { AddressInfo, Server } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Clock } from "../../clock/index.ts";
import { type RoundTrip, type RoundTripOptions, roundTrip } from "../link/round-trip.ts";
import { echoServer } from "../proxy/echo-server.ts";

export class NamespaceHelper {
  readonly #namespace: string | undefined;
  readonly #address: string;
  readonly #clock: Clock;
  readonly #waiting: ((answer: unknown) => void)[] = [];
  #child: ChildProcess | undefined;
  #port: Promise<number> | undefined;
  #server: Server | undefined;

  /** @param namespace undefined is that of this process, which then does it itself */
  constructor(namespace: string | undefined, address: string, clock: Clock) {
    this.#namespace = namespace;
    this.#address = address;
    this.#clock = clock;
  }

  /** Where it echoes. */
  echoPort(): Promise<number> {
    this.#port ??= this.#namespace === undefined ? this.#listen() : this.#start(this.#namespace);
    return this.#port;
  }

  async attempt(options: RoundTripOptions): Promise<RoundTrip> {
    if (this.#namespace === undefined) return roundTrip(this.#clock, options);
    await this.echoPort();
    return (await this.#ask(options)) as RoundTrip;
  }

  async close(): Promise<void> {
    this.#server?.close();
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await exited;
  }

  async #listen(): Promise<number> {
    const server = echoServer();
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: this.#address, port: 0 }, resolve);
    });
    server.unref();
    return (server.address() as AddressInfo).port;
  }

  async #start(namespace: string): Promise<number> {
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const file = fileURLToPath(new URL(`./namespace-probe.${extension}`, import.meta.url));
    const child = spawn("ip", ["netns", "exec", namespace, process.execPath, file, this.#address], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child = child;
    const failed = (why: string) => {
      for (const answer of this.#waiting.splice(0)) answer({ end: "failed", code: why });
    };
    child.once("error", (error) => failed(error.message));
    child.once("exit", () => failed("the probe's process ended"));
    child.stdin?.on("error", () => {});
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      this.#waiting.shift()?.(JSON.parse(line));
    });
    const said = (await new Promise<unknown>((answer) => this.#waiting.push(answer))) as {
      port?: number;
      code?: string;
    };
    if (said.port === undefined) throw new Error(`no echo in ${namespace}: ${said.code}`);
    return said.port;
  }

  /** Answers come in the order of questions. */
  #ask(question: unknown): Promise<unknown> {
    return new Promise((answer) => {
      this.#waiting.push(answer);
      this.#child?.stdin?.write(`${JSON.stringify(question)}\n`);
    });
  }
}
