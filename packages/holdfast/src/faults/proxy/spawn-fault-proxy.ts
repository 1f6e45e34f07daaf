/**
 * A fault proxy in a process of its own: what it forwards takes no time from this one. It ends with this process,
 * also when that is killed.
 */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { HoldfastError, refuseProblems } from "../../call/index.ts";
import type { FaultProxy } from "./fault-proxy.ts";
import type { ProxyAnswer, ProxyQuestion, ProxyStart } from "./proxy-process.ts";
import { type ProxyCounts, type ProxySettings, proxySettingsProblems } from "./settings.ts";

/** Resolves when it listens. */
export async function spawnFaultProxy(options: ProxyStart): Promise<FaultProxy> {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const file = fileURLToPath(new URL(`./proxy-process.${extension}`, import.meta.url));
  const child = fork(file, [JSON.stringify(options)], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    execArgv: [],
  });
  const proxy = new ProxyInProcess(child);
  const started = await proxy.answer(0);
  if (started.error !== undefined || started.port === undefined || started.echoPort === undefined) {
    throw new HoldfastError(
      "HOLDFAST_UNAVAILABLE",
      `The fault proxy did not start: ${started.error ?? "it ended"}`,
    );
  }
  proxy.host = options.host ?? "127.0.0.1";
  proxy.port = started.port;
  proxy.echoPort = started.echoPort;
  return proxy;
}

class ProxyInProcess implements FaultProxy {
  host = "";
  port = 0;
  echoPort = 0;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: ProxyAnswer) => void>();
  readonly #exited: Promise<unknown>;
  #asked = 0;
  #ended = false;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#exited = new Promise((resolve) => child.once("exit", resolve));
    child.on("message", (answer: ProxyAnswer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    void this.#exited.then(() => {
      this.#ended = true;
      for (const [id, tell] of this.#waiting) tell({ id, error: "its process ended" });
    });
    // Its process ends with this one, and does not keep it.
    child.unref();
    child.channel?.unref();
  }

  answer(id: number): Promise<ProxyAnswer> {
    this.#child.channel?.ref();
    return new Promise<ProxyAnswer>((resolve) => {
      if (this.#ended) resolve({ id, error: "its process ended" });
      else this.#waiting.set(id, resolve);
    }).finally(() => {
      if (this.#waiting.size === 0) this.#child.channel?.unref();
    });
  }

  async set(settings: ProxySettings): Promise<void> {
    refuseProblems(
      "HOLDFAST_OPTIONS_INVALID",
      "The fault proxy's settings are wrong",
      proxySettingsProblems(settings),
    );
    await this.#ask({ settings });
  }

  async counts(): Promise<ProxyCounts> {
    return (await this.#ask({})).counts as ProxyCounts;
  }

  async close(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #ask(question: Omit<ProxyQuestion, "id">): Promise<ProxyAnswer> {
    const id = ++this.#asked;
    const answered = this.answer(id);
    if (!this.#ended) this.#child.send({ id, ...question }, () => {});
    const answer = await answered;
    if (answer.error !== undefined) {
      throw new HoldfastError("HOLDFAST_UNAVAILABLE", `The fault proxy does not answer: ${answer.error}`);
    }
    return answer;
  }
}
