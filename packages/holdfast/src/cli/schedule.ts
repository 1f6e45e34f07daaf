/** `holdfast schedule`: what ticks when, and holding it for a while. */

import { HoldfastError } from "../call/index.ts";
import { askControl } from "../runtime/control.ts";
import { findProject } from "../runtime/project.ts";
import type { SystemStatus } from "../runtime/status.ts";
import { type Command, exitCodes } from "./command.ts";
import { requireSupervisor } from "./require-supervisor.ts";
import { scheduleLines } from "./status-schedules.ts";

export const scheduleCommand: Command = {
  name: "schedule",
  summary: "Show the schedules of the running system and their next ticks; pause or resume one.",
  argument: "[NAME]",
  positionals: 1,
  options: {
    pause: {
      type: "boolean",
      help: "Send nothing for NAME until it is resumed, in no process, also after a restart.",
    },
    resume: {
      type: "boolean",
      help: "Go on with NAME from now; what would have ticked while it was paused is left out.",
    },
    json: { type: "boolean", help: "Print one JSON object." },
  },
  details: "Times are UTC. See docs/schedules.md.",
  async run({ values, positionals, io }) {
    const { pause, resume } = values;
    const [name] = positionals;
    if (pause && resume) throw usage("--pause and --resume are one or the other.");
    if ((pause || resume) && name === undefined)
      throw usage("--pause and --resume need the NAME of a schedule.");
    const { socket } = await requireSupervisor(findProject(io.cwd));
    if (name !== undefined && (pause || resume)) {
      const query = new URLSearchParams({ name, do: pause ? "pause" : "resume" });
      await askControl(socket, "POST", `/schedule?${query}`);
    }
    const { schedules, system } = (await askControl(socket, "GET", "/status")) as SystemStatus;
    const shown = name === undefined ? schedules : schedules.filter((one) => one.name === name);
    if (name !== undefined && shown.length === 0)
      throw unknown(
        system,
        name,
        schedules.map((one) => one.name),
      );
    if (values.json) io.out(JSON.stringify({ schedules: shown }));
    else if (shown.length === 0) io.out(`${system} has no schedule.`);
    else for (const line of scheduleLines(shown)) io.out(line);
    return exitCodes.ok;
  },
};

function usage(message: string): HoldfastError {
  return new HoldfastError("HOLDFAST_USAGE", message);
}

function unknown(system: string, name: string, names: readonly string[]): HoldfastError {
  const has = names.length === 0 ? "it has none" : `it has ${names.join(", ")}`;
  return new HoldfastError("HOLDFAST_INPUT_INVALID", `${system} has no schedule "${name}": ${has}.`);
}
