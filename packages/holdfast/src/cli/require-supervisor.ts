import { HoldfastError } from "../call/index.ts";
import type { Project } from "../runtime/project.ts";
import { deadSupervisor, runningSupervisor, type SupervisorRecord } from "../runtime/supervisor-file.ts";

/** @throws {HoldfastError} HOLDFAST_NOT_RUNNING */
export async function requireSupervisor(project: Project): Promise<SupervisorRecord> {
  const record = await runningSupervisor(project);
  if (record?.socket === "") {
    throw new HoldfastError(
      "HOLDFAST_NOT_RUNNING",
      `Process ${record.supervisor.pid} restores the system "${record.system}"; it does not run. Wait until it is done, then \`holdfast up\`.`,
      { data: { pid: record.supervisor.pid, system: record.system } },
    );
  }
  if (record) return record;
  const dead = await deadSupervisor(project);
  if (dead) {
    throw new HoldfastError(
      "HOLDFAST_NOT_RUNNING",
      dead.socket === ""
        ? `Process ${dead.supervisor.pid} was killed while it restored "${dead.system}". \`holdfast restore\` does it again; \`holdfast up\` starts what was there, or ends the restore when it was about to.`
        : `Supervisor ${dead.supervisor.pid} of "${dead.system}" was killed. \`holdfast up\` goes on with its data; \`holdfast down\` ends what it left running.`,
      { data: { pid: dead.supervisor.pid, system: dead.system } },
    );
  }
  throw new HoldfastError(
    "HOLDFAST_NOT_RUNNING",
    `No system of ${project.root} is running. Start one with \`holdfast up SYSTEM\`.`,
  );
}
