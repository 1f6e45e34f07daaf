/** The loss of a directory whose server goes on writing into it. */
import { rm } from "node:fs/promises";

/** Removes `dir` with all that is in it, and what its server puts there meanwhile. */
export function loseDir(dir: string): Promise<void> {
  return rm(dir, { recursive: true, force: true, maxRetries: 50, retryDelay: 10 });
}
