/** A server to be measured, in a child process: so that its processor time is its own, and the client's is not in it. */
import { fork } from "node:child_process";
import { HoldfastError } from "../../call/index.ts";
import { entryFile } from "../entry.ts";

export type ProfileServerMessage =
  | { readonly kind: "ready"; readonly port: number }
  | { readonly kind: "usage"; readonly processorMs: number };

export interface ProfileServer extends AsyncDisposable {
  readonly port: number;
  /** Processor time used so far, in milliseconds. */
  processorMs(): Promise<number>;
}

export async function startProfileServer(
  role: "service" | "gateway",
  upstream?: number,
): Promise<ProfileServer> {
  const args = [role, ...(upstream === undefined ? [] : [String(upstream)])];
  const child = fork(entryFile("profile"), args, {
    execArgv: [],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text) => {
    said = (said + text).slice(-2_000);
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const ended = exited.then(() => {
    throw new HoldfastError(
      "HOLDFAST_START_FAILED",
      `The ${role} to be measured ended by itself${said === "" ? "" : `: ${said.trim()}`}. Run \`holdfast load --profile\` again; if it happens again, this is a mistake in Holdfast.`,
    );
  });
  ended.catch(() => {});
  const next = <Kind extends ProfileServerMessage["kind"]>(kind: Kind) =>
    Promise.race([
      ended,
      new Promise<Extract<ProfileServerMessage, { kind: Kind }>>((resolve) => {
        const take = (message: unknown) => {
          const known = message as ProfileServerMessage;
          if (known.kind !== kind) return;
          child.off("message", take);
          resolve(known as Extract<ProfileServerMessage, { kind: Kind }>);
        };
        child.on("message", take);
      }),
    ]);
  const { port } = await next("ready");
  return {
    port,
    async processorMs() {
      const answer = next("usage");
      child.send("usage");
      return (await answer).processorMs;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
