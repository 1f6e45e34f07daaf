/** What a restore is to reach, and in words. */
import { isoTime } from "../../../clock/index.ts";
import type { Cut } from "./cut.ts";

export type RestoreTarget =
  | { readonly kind: "cut"; readonly cut: Cut }
  | { readonly kind: "time"; readonly atMs: number }
  | { readonly kind: "latest" };

export function targetText(target: RestoreTarget): string {
  if (target.kind === "cut") return `cut ${target.cut.name}`;
  return target.kind === "time" ? isoTime(target.atMs) : "the latest";
}
