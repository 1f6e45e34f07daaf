/** The programs `ip` and `tc` of iproute2. */
import { execFile } from "node:child_process";

/** @throws {Error} with what the program said */
export function command(program: "ip" | "tc", args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, args, (error, stdout, stderr) => {
      if (!error) resolve(stdout);
      else reject(new Error(`${program} ${args.join(" ")}: ${stderr.trim() || error.message}`));
    });
  });
}

/** What the program said when it refused; undefined when it did not. */
export async function refusalOf(program: "ip" | "tc", args: readonly string[]): Promise<string | undefined> {
  try {
    await command(program, args);
    return undefined;
  } catch (error) {
    return (error as Error).message.split("\n")[0];
  }
}
