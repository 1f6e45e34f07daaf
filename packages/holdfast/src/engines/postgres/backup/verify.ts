/** Checking a backup before it is needed: every file against its sum, and, deeply, by starting it and reading it. */
import { join } from "node:path";
import { codeOf } from "../embedded/files.ts";
import { eachAtOnce } from "../embedded/live-copy.ts";
import { sumFile } from "./hashed-copy.ts";
import { readManifest } from "./manifest.ts";
import { damagedBackup } from "./prepare-node.ts";

export interface VerifyOptions {
  readonly signal: AbortSignal;
  readonly onBytes?: (bytes: number) => void;
}

/** @throws {HoldfastError} HOLDFAST_BACKUP_DAMAGED with every file that is missing or differs */
export async function verifyFiles(dir: string, options: VerifyOptions): Promise<void> {
  const { nodes } = await readManifest(dir);
  const files = nodes.flatMap((node) => [
    ...node.files.map((file) => ({ ...file, at: join(dir, node.name, "data", file.path) })),
    ...node.wal.map((file) => ({ ...file, at: join(dir, node.name, "wal", file.path) })),
  ]);
  const damaged: string[] = [];
  await eachAtOnce(files, options.signal, async ({ at, bytes, sha256 }) => {
    try {
      const sum = await sumFile(at, options);
      if (sum.bytes !== bytes || sum.sha256 !== sha256) damaged.push(at);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
      damaged.push(`${at} (missing)`);
    }
  });
  if (damaged.length > 0) throw damagedBackup(dir, damaged);
}
