/** What `holdfast up` says: to people, or to programs as one JSON object a line. */
import { type Clock, isoTime } from "../clock/index.ts";
import { type LogLevel, renderLogLine, renderLogText } from "../observe/index.ts";
import type { Reporter } from "../runtime/reporter.ts";
import type { SystemStatus } from "../runtime/status.ts";
import type { CommandIo } from "./command.ts";
import { progressLine } from "./progress.ts";
import { type ReadyFacts, readyLines } from "./ready-lines.ts";

export interface UpReporter extends Reporter {
  ready(status: SystemStatus): void;
  stopped(system: string): void;
  close(): void;
}

export function terminalReporter(io: CommandIo, clock: Clock, facts: Omit<ReadyFacts, "status">): UpReporter {
  const progress = progressLine(io, clock);
  const { color } = io;
  const notice = (level: LogLevel, msg: string) =>
    progress.line(
      renderLogLine({ time: isoTime(clock.wallMs()), level, msg, instance: "holdfast" }, { color }),
    );
  return {
    step: (text) => progress.step(text),
    notice,
    output: (source, line) => progress.line(renderLogText(line, { color, source })),
    ready(status) {
      progress.done();
      for (const line of readyLines({ status, ...facts })) io.err(line);
    },
    stopped(system) {
      progress.done();
      notice("info", `${system} is stopped`);
    },
    close: () => progress.done(),
  };
}

export function jsonReporter(io: CommandIo): UpReporter {
  const event = (name: string, fields: Readonly<Record<string, unknown>>) =>
    io.out(JSON.stringify({ event: name, ...fields }));
  return {
    step: (text) => event("step", { text }),
    notice: (level, text) => event("notice", { level, text }),
    output: (source, line, stream) => event("output", { source, stream, line }),
    ready: (status) => event("ready", { ...status }),
    stopped: (system) => event("stopped", { system }),
    close: () => {},
  };
}
