/** What a newcomer reads when the system is up: what to open, and what to kill. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { SystemStatus } from "../runtime/status.ts";

export interface ReadyFacts {
  readonly status: SystemStatus;
  /** How the command is called here, such as `npx holdfast`. */
  readonly command: string;
  /** The system as it was named on the command line, when it has a load.ts. */
  readonly loadable: string | undefined;
}

/** Width of a terminal that nobody has made wider. */
const lineCharsMax = 80;

export function readyLines({ status, command, loadable }: ReadyFacts): string[] {
  const { system, url, instances, servers, upMs, pid } = status;
  const processes = instances.length + servers.length;
  const lines = [
    "",
    `${system} is up after ${(upMs / 1_000).toFixed(1)} s: ${processes} processes, watched over by process ${pid}.`,
    "",
  ];
  if (url) lines.push(`  Open   ${url}`);
  const victims = [
    instances.find(({ kind }) => kind === "service"),
    instances.find(({ kind }) => kind === "gateway"),
    instances.find(({ kind }) => kind === "worker"),
    servers.find(({ role }) => role === "replica"),
    servers.find(({ role }) => role === "primary"),
  ];
  let label = "Kill";
  for (const victim of victims) {
    if (victim?.pid === undefined) continue;
    lines.push(`  ${label.padEnd(5)}  ${`kill -9 ${victim.pid}`.padEnd(15)}  ${victim.name}`);
    label = "";
  }
  lines.push(`  Look   ${command} status`);
  if (loadable !== undefined && url) {
    const [load, to] = [`  Load   ${command} load ${loadable}`, `--url ${url}`];
    // A terminal would break it anywhere; a shell takes it in two lines as well.
    if (load.length + 1 + to.length <= lineCharsMax) lines.push(`${load} ${to}`);
    else lines.push(`${load} \\`, `           ${to}`);
  }
  lines.push("  Stop   Ctrl-C", "");
  return lines;
}

/** How the command is called in this project: by its script when it has one, else by npx. */
export function commandOf(projectRoot: string): string {
  try {
    const { scripts } = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8")) as {
      scripts?: Record<string, string>;
    };
    if (scripts?.holdfast) return "npm run holdfast --";
  } catch {
    // No package.json, or a damaged one: npx works everywhere.
  }
  return "npx holdfast";
}
