/** `holdfast down`: stops the project's running system, and returns when nothing of it is left. */
import { HoldfastError } from "../call/index.ts";
import { systemClock } from "../clock/index.ts";
import { askControl } from "../runtime/control.ts";
import { stopLeftChildren, stopLeftServers } from "../runtime/leftovers.ts";
import { findProject } from "../runtime/project.ts";
import { deadSupervisor, removeRecord, supervisorRuns } from "../runtime/supervisor-file.ts";
import { type Command, exitCodes } from "./command.ts";
import { progressLine } from "./progress.ts";
import { requireSupervisor } from "./require-supervisor.ts";

/** Draining has its own bound; a clean stop of Postgres comes after it. */
const downMsMax = 60_000;

export const downCommand: Command = {
  name: "down",
  summary: "Stop this project's running system: requests finish, data stays.",
  positionals: 0,
  options: { json: { type: "boolean", help: "Print the result as one JSON object." } },
  async run({ values, io }) {
    const project = findProject(io.cwd);
    const progress = progressLine(io, systemClock);
    const dead = await deadSupervisor(project);
    if (dead) {
      progress.step(`Stopping what supervisor ${dead.supervisor.pid} left when it was killed`);
      await stopLeftChildren(dead, systemClock);
      await stopLeftServers(project, dead.system, systemClock);
      removeRecord(project, dead);
      progress.done();
      if (values.json) io.out(JSON.stringify({ stopped: dead.system, pid: dead.supervisor.pid }));
      else
        io.out(
          `Supervisor ${dead.supervisor.pid} had been killed; what it left of ${dead.system} is stopped.`,
        );
      return exitCodes.ok;
    }
    const record = await requireSupervisor(project);
    await askControl(record.socket, "POST", "/down");
    progress.step(`Stopping ${record.system}`);
    const untilMs = systemClock.monotonicMs() + downMsMax;
    while (await supervisorRuns(record)) {
      if (systemClock.monotonicMs() > untilMs) {
        progress.done();
        throw new HoldfastError(
          "HOLDFAST_UNAVAILABLE",
          `Supervisor ${record.supervisor.pid} has not ended after ${downMsMax / 1000} s. \`kill -9 ${record.supervisor.pid}\` ends it; its processes end by themselves, and no acknowledged data is lost.`,
        );
      }
      await systemClock.sleep(30);
    }
    progress.done();
    if (values.json) io.out(JSON.stringify({ stopped: record.system, pid: record.supervisor.pid }));
    else io.out(`Stopped ${record.system}.`);
    return exitCodes.ok;
  },
};
