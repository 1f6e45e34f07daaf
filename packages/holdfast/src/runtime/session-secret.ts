/**
 * The project's secret for sealing session tokens: random, made once, kept where nobody else can read it. Without it
 * clients' tokens are ignored, and they begin a new session; nothing else is lost.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "../clock/index.ts";
import type { Project } from "./project.ts";

const secretBytes = 32;

/** In base64url; made when it is missing or not whole. */
export function sessionSecret(project: Project, random: Random): string {
  const file = join(project.stateDir, "session-secret");
  const kept = readKept(file);
  if (kept !== undefined) return kept;
  const secret = Buffer.from(random.bytes(secretBytes)).toString("base64url");
  // Whole or not at all: a supervisor that is killed here makes another.
  writeFileSync(`${file}.new`, `${secret}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
  return secret;
}

function readKept(file: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  return Buffer.from(text, "base64url").length === secretBytes ? text : undefined;
}
