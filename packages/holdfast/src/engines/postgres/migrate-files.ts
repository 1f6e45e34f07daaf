/**
 * The files of a migrations folder: `001_first.sql`, `002_second.sql` … without gaps, each with a checksum.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { HoldfastError } from "../../call/index.ts";
import { mayBeOutsideTransaction, readStatements } from "./lock-rules/statement.ts";
import { type OutsideStatement, outsideStatement } from "./migrate-outside-statement.ts";

export interface MigrationFile {
  /** From 1. */
  readonly number: number;
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the text in hex; line ends count as one character, so that a checkout on Windows is the same. */
  readonly checksum: string;
  /** Of a file marked `-- holdfast: no transaction`. */
  readonly outside?: OutsideStatement;
}

/**
 * In order. Files that do not end in `.sql` are left alone.
 *
 * @throws {HoldfastError} HOLDFAST_MIGRATION_INVALID with every problem at once
 */
export async function readMigrations(folder: URL): Promise<readonly MigrationFile[]> {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw invalidError(folder, [`the folder cannot be read: ${(cause as Error).message}`], cause);
  });
  const files: MigrationFile[] = [];
  const problems: string[] = [];
  for (const name of names.filter((entry) => entry.endsWith(".sql")).sort()) {
    const number = /^(\d{3})_[A-Za-z0-9_-]+\.sql$/.exec(name)?.[1];
    if (number === undefined) {
      problems.push(`${name}: name it NNN_what_it_does.sql, with three digits, letters, digits, - and _`);
      continue;
    }
    const sql = (await readFile(new URL(encodeURIComponent(name), directory(folder)), "utf8")).replaceAll(
      "\r\n",
      "\n",
    );
    const control = transactionControl(sql);
    if (control) problems.push(`${name}: leave out "${control}"; each file is one transaction already`);
    const outside = await outsideOf(sql);
    if (outside && "problem" in outside) problems.push(`${name}: ${outside.problem}`);
    files.push({
      number: Number(number),
      name,
      sql,
      checksum: createHash("sha256").update(sql).digest("hex"),
      ...(outside && !("problem" in outside) ? { outside } : {}),
    });
  }
  files.forEach((file, index) => {
    const before = files[index - 1];
    if (before?.number === file.number) problems.push(`${before.name} and ${file.name} have the same number`);
    else if (file.number !== (before?.number ?? 0) + 1)
      problems.push(`${file.name} should follow ${before?.name ?? "nothing, as 001"}: numbers have no gaps`);
  });
  if (problems.length > 0) throw invalidError(folder, problems);
  return files;
}

async function outsideOf(sql: string) {
  if (!mayBeOutsideTransaction(sql)) return undefined;
  const file = await readStatements(sql);
  return file && !file.noTransaction ? undefined : outsideStatement(file);
}

/** The first statement that begins or ends a transaction, outside strings, comments and function bodies. */
export function transactionControl(sql: string): string | undefined {
  const bare = sql.replace(
    /--[^\n]*|\/\*[\s\S]*?\*\/|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|'(?:[^']|'')*'|"(?:[^"]|"")*"/g,
    " ",
  );
  const found =
    /(?:^|;)\s*((?:begin|commit|rollback|end|abort)(?:\s+(?:work|transaction)\b[^;]*)?|start\s+transaction[^;]*)\s*(?:;|$)/i.exec(
      bare,
    );
  return found?.[1]?.trim().toLowerCase();
}

function directory(folder: URL): URL {
  return folder.pathname.endsWith("/") ? folder : new URL(`${folder.href}/`);
}

function invalidError(folder: URL, problems: readonly string[], cause?: unknown): HoldfastError {
  const list = problems.map((problem) => `\n  - ${problem}`).join("");
  return new HoldfastError("HOLDFAST_MIGRATION_INVALID", `migrations in ${folder.pathname}:${list}`, {
    data: { problems },
    cause,
  });
}
