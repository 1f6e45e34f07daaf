/** What the machine refused (a full disk, a closed folder), as an error that says what to do. */
import { HoldfastError } from "../call/index.ts";
import type { Project } from "./project.ts";

export function startError(error: unknown, project: Project): unknown {
  if (error instanceof HoldfastError || !(error instanceof Error) || !("syscall" in error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new HoldfastError(
      "HOLDFAST_DISK_FULL",
      `The disk is full: ${error.message}. Make room, then start again; nothing is left half-started.`,
      { cause: error },
    );
  }
  return new HoldfastError(
    "HOLDFAST_START_FAILED",
    `The system could not be started: ${error.message}. Holdfast needs to write to ${project.stateDir} and to the folder for temporary files, and to start processes.`,
    { cause: error },
  );
}
