/** Programs of the machine that a bench uses when they are there. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

export const run = promisify(execFile);

export function hasCommand(name: string): Promise<boolean> {
  return run("sh", ["-c", `command -v ${name}`]).then(
    () => true,
    () => false,
  );
}
