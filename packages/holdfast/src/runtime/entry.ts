/**
 * Where the programs of child processes are: `.ts` in the source tree, `.js` in the built package, told by the
 * extension that this very file has.
 */
import { fileURLToPath } from "node:url";

export type EntryName = "service" | "worker" | "gateway" | "describe" | "traffic" | "profile";

export function entryFile(name: EntryName): string {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return fileURLToPath(new URL(`./process/${name}.${extension}`, import.meta.url));
}
