/** What the kernel says about a process: so that a pause counts only when it is one. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

/** Whether the kernel has stopped the process. */
export async function isStopped(pid: number): Promise<boolean> {
  if (process.platform !== "linux") {
    const { stdout } = await promisify(execFile)("ps", ["-o", "stat=", "-p", String(pid)]);
    return stdout.trim().startsWith("T");
  }
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The name in parentheses may hold anything; the state comes after it.
  return stat.slice(stat.lastIndexOf(")") + 2).startsWith("T");
}
