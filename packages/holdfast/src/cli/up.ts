/** `holdfast up`: starts a system and stays with it until Ctrl-C, SIGTERM or `holdfast down`. */
import { HoldfastError } from "../call/index.ts";
import { systemClock } from "../clock/index.ts";
import { portProblem } from "../parts/gateway/declare.ts";
import { findProject, findSystemFile, hasLoadFile, requireLoadFile } from "../runtime/project.ts";
import type { Supervisor } from "../runtime/supervisor.ts";
import { type Command, exitCodes } from "./command.ts";
import { wholeNumber } from "./parse.ts";
import { commandOf } from "./ready-lines.ts";
import { jsonReporter, terminalReporter } from "./report.ts";

export const upCommand: Command = {
  name: "up",
  summary: "Start a system on this machine, and stay with it until Ctrl-C.",
  argument: "[SYSTEM]",
  positionals: 1,
  options: {
    port: {
      type: "string",
      value: "N",
      help: "Port of the gateway; 0 takes a free one, 4400 is kept for the console. Default: as declared, 4000.",
    },
    "no-watch": {
      type: "boolean",
      help: "Do not restart instances when their source changes, and do not warn of what will not scale.",
    },
    traffic: { type: "boolean", help: "Send gentle traffic, as the system's load.ts describes it." },
    json: { type: "boolean", help: "Print every event as one line of JSON." },
  },
  details: [
    "SYSTEM is a folder with a system.ts, or the file itself. Default: the current folder.",
    "Data, logs and the record of what runs are under .holdfast/ of the project: the nearest folder with a",
    "package.json. Ctrl-C lets requests finish; a second Ctrl-C does not wait. HOLDFAST_LOG sets how much the",
    "processes write: debug, info (the default), warn or error.",
  ].join("\n"),
  async run({ values, positionals, io }) {
    const port = typeof values.port === "string" ? gatewayPort(values.port) : undefined;
    const project = findProject(io.cwd);
    const systemFile = findSystemFile(positionals[0] ?? io.cwd, io.cwd);
    if (values.traffic === true) requireLoadFile(systemFile);
    const reporter =
      values.json === true
        ? jsonReporter(io)
        : terminalReporter(io, systemClock, {
            command: commandOf(project.root),
            loadable: hasLoadFile(systemFile) ? (positionals[0] ?? ".") : undefined,
          });
    // Loaded here, because the other verbs should not wait for everything that a running system needs.
    const { startSupervisor } = await import("../runtime/supervisor.ts");
    const supervisor = startSupervisor({
      project,
      systemFile,
      ...(port === undefined ? {} : { port }),
      traffic: values.traffic === true,
      watch: values["no-watch"] !== true,
      clock: systemClock,
      reporter,
    });
    const forget = stopOnSignals(supervisor, (text) => reporter.notice("info", text));
    let broken = false;
    const stopBroken = (error: unknown) => {
      broken = true;
      reporter.notice("error", `The supervisor failed, please report it: ${errorText(error)}`);
      supervisor.stop("drain");
    };
    process.on("uncaughtException", stopBroken);
    process.on("unhandledRejection", stopBroken);
    try {
      const status = await supervisor.up;
      reporter.ready(status);
      await supervisor.stopped;
      reporter.stopped(status.system);
      return broken ? exitCodes.failed : exitCodes.ok;
    } finally {
      reporter.close();
      forget();
      process.off("uncaughtException", stopBroken);
      process.off("unhandledRejection", stopBroken);
    }
  },
};

function errorText(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** The first signal drains, the second does not wait. @returns how to stop listening */
function stopOnSignals(supervisor: Supervisor, say: (text: string) => void): () => void {
  let asked = false;
  const stop = () => {
    if (asked) {
      supervisor.stop("at-once");
      return;
    }
    asked = true;
    say("Stopping: requests under way finish. Once more to stop at once.");
    supervisor.stop("drain");
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, stop);
  return () => {
    for (const signal of signals) process.off(signal, stop);
  };
}

function gatewayPort(text: string): number {
  const port = wholeNumber("port", text, 0, 65_535);
  const problem = portProblem(port);
  if (problem) throw new HoldfastError("HOLDFAST_USAGE", `--port: ${problem}.`);
  return port;
}
