/**
 * SQL files as statements, read by Postgres's own parser (compiled to WebAssembly), so that nothing here guesses
 * where a statement ends, what is a comment and what is a string.
 *
 * The parser is loaded when it is first needed: a process that has nothing to migrate does not pay for it.
 */
import type { Node, ScanToken } from "libpg-query";

export interface SqlStatement {
  readonly node: Node;
  /** As it stands in the file, without the semicolon. */
  readonly text: string;
  /** Of its first word, from 1. */
  readonly line: number;
  /** Its words, without comments; offsets are bytes from the beginning of `text`. */
  readonly tokens: readonly ScanToken[];
  /** What stands behind `-- holdfast: safe because` beside it; empty when no reason is given. */
  readonly safeBecause: string | undefined;
}

export interface SqlFile {
  readonly statements: readonly SqlStatement[];
  /** Whether a comment says `-- holdfast: no transaction`. */
  readonly noTransaction: boolean;
}

const safeComment = /^(?:--|\/\*)\s*holdfast:\s*safe\b(?:\s+because\b)?\s*([\s\S]*?)\s*(?:\*\/)?$/i;
const noTransactionComment = /^(?:--|\/\*)\s*holdfast:\s*no\s+transaction\s*(?:\*\/)?$/i;

/** Whether it is worth loading the parser for: the comment may still be part of a string. */
export function mayBeOutsideTransaction(sql: string): boolean {
  return /holdfast:\s*no\s+transaction/i.test(sql);
}

/** @returns `undefined` when the parser cannot read it; the server says why, when it is run */
export async function readStatements(sql: string): Promise<SqlFile | undefined> {
  const { loadModule, parseSync, scanSync } = await import("libpg-query");
  await loadModule();
  const bytes = Buffer.from(sql);
  const lineOf = (at: number) => bytes.subarray(0, at).toString().split("\n").length;
  try {
    // Its answer for a text without statements has no list.
    const raw = sql.trim() === "" ? [] : (parseSync(sql).stmts ?? []);
    const scanned = sql.trim() === "" ? [] : scanSync(sql).tokens;
    const isComment = ({ tokenName }: ScanToken) => tokenName === "SQL_COMMENT" || tokenName === "C_COMMENT";
    const comments = scanned.filter(isComment);
    const statements = raw.flatMap(({ stmt, stmt_location: start = 0, stmt_len: length }) => {
      if (!stmt) return [];
      const end = length ? start + length : bytes.length;
      const tokens = scanned
        .filter(
          (token) => token.start >= start && token.end <= end && !isComment(token) && token.text !== ";",
        )
        .map((token) => ({ ...token, start: token.start - start, end: token.end - start }));
      const text = bytes.subarray(start, start + (tokens.at(-1)?.end ?? 0)).toString();
      return [{ node: stmt, text, tokens, start, end, line: lineOf(start) }];
    });
    const reasons = new Map<number, string>();
    for (const comment of comments) {
      const reason = safeComment.exec(comment.text)?.[1];
      if (reason === undefined) continue;
      const next = statements.findIndex(({ end }) => end >= comment.start);
      const before = next < 0 ? statements.length - 1 : next - 1;
      // Behind a statement, on its last line, it is about that one; else about the one it stands in or above.
      const last = statements[before];
      const behind = last !== undefined && lineOf(last.end) === lineOf(comment.start);
      reasons.set(behind ? before : next, reason);
    }
    return {
      statements: statements.map(({ node, text, tokens, line }, index) => ({
        node,
        text,
        tokens,
        line,
        safeBecause: reasons.get(index),
      })),
      noTransaction: comments.some(({ text }) => noTransactionComment.test(text)),
    };
  } catch {
    return undefined;
  }
}

/** `text` with `insertion` put at byte `at`. */
export function insertAt(text: string, at: number, insertion: string): string {
  const bytes = Buffer.from(text);
  return `${bytes.subarray(0, at)}${insertion}${bytes.subarray(at)}`;
}

/** The part of a statement from one token to another, both included. */
export function sliceOf({ text }: SqlStatement, from: ScanToken, to: ScanToken): string {
  return Buffer.from(text).subarray(from.start, to.end).toString();
}
