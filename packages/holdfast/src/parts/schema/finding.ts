/** What keeps a reader from reading what a writer writes. */
import type { SchemaNode } from "./json-schema.ts";

export interface Finding {
  /** `incompatible`: there are values that do not fit. `undecided`: it depends on what is not understood here. */
  readonly kind: "incompatible" | "undecided";
  /** Where in the value, such as `lines[].price`; empty for the value itself. */
  readonly path: string;
  readonly code: FindingCode;
  /** In words, without the path. */
  readonly reason: string;
}

export type FindingCode =
  | "type"
  | "value"
  | "required"
  | "extra"
  | "bound"
  | "text"
  | "union"
  | "keyword"
  | "depth";

/** What `check` of the comparison needs from its helpers, and they from it. */
export interface Comparison {
  check(writers: readonly SchemaNode[], reader: SchemaNode, path: string): Finding[];
}

export function incompatible(path: string, code: FindingCode, reason: string): Finding {
  return { kind: "incompatible", path, code, reason };
}

export function undecided(path: string, code: FindingCode, reason: string): Finding {
  return { kind: "undecided", path, code, reason };
}

/** `lines` and `price` to `lines.price`. */
export function under(path: string, name: string): string {
  const plain = /^[\p{L}_$][\p{L}\p{N}_$-]*$/u.test(name);
  if (!plain) return `${path}[${JSON.stringify(name)}]`;
  return path === "" ? name : `${path}.${name}`;
}
