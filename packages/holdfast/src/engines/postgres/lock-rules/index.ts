/**
 * Which statements of a migration stop others, how, and what does the same without stopping anybody.
 *
 * Rules look at one parsed statement each. What the same migrations have made is left out: nobody uses it yet. A
 * comment silences all rules for one statement: `-- holdfast: safe because REASON`.
 */
import { alterTable } from "./alter-table.ts";
import { type LockFinding, type LockRule, quoted, stringsOf, tableOf } from "./finding.ts";
import { readStatements, type SqlStatement } from "./statement.ts";
import {
  createIndex,
  dropObjects,
  enums,
  explicitLock,
  renames,
  rewrites,
  triggers,
  wholeTable,
} from "./statements.ts";
import { type LockWarning, warningLines } from "./warning.ts";

export { type LockWarning, warningLines };

export interface CheckedFile {
  readonly name: string;
  readonly sql: string;
  /** Whether it is still to be run: only then it is warned of. */
  readonly pending: boolean;
}

const rules: readonly LockRule[] = [
  createIndex,
  dropObjects,
  renames,
  wholeTable,
  explicitLock,
  rewrites,
  enums,
  triggers,
  alterTable,
];

/**
 * @param files all of the folder, in order: what those before have checked counts
 * @returns nothing when all are pending: then there is nothing yet that could be stopped
 */
export async function lockWarnings(files: readonly CheckedFile[]): Promise<readonly LockWarning[]> {
  if (files.every(({ pending }) => pending) || !files.some(({ pending }) => pending)) return [];
  const made = new Set<string>();
  const checks = new Map<string, string>();
  const neverNull = new Set<string>();
  const warnings: LockWarning[] = [];
  for (const { name, sql, pending } of files) {
    const read = await readStatements(sql);
    const uncheckedHere = new Set<string>();
    for (const statement of read?.statements ?? []) {
      if (pending) {
        for (const finding of findingsIn(statement, { uncheckedHere, neverNull })) {
          if (finding.objects.length > 0 && finding.objects.every((object) => made.has(object))) continue;
          warnings.push({ ...finding, file: name, line: statement.line, statement: oneLine(statement.text) });
        }
        for (const object of objectsMade(statement)) made.add(object);
      }
      noteChecks(statement, { uncheckedHere, checks, neverNull });
    }
  }
  return warnings;
}

function findingsIn(statement: SqlStatement, context: Parameters<LockRule>[1]): readonly LockFinding[] {
  const findings = rules.flatMap((rule) => rule(statement, context));
  if (statement.safeBecause === undefined) return findings;
  if (statement.safeBecause !== "") return [];
  // Without a reason nobody can judge it later: the comment is asked for one, and silences nothing.
  return findings.map((finding) => ({
    ...finding,
    safe: ["-- holdfast: safe because … (say why: the comment has no reason yet)", ...finding.safe],
  }));
}

function objectsMade({ node }: SqlStatement): string[] {
  if ("CreateStmt" in node) return [tableOf(node.CreateStmt.relation)];
  if ("CreateTableAsStmt" in node) return [tableOf(node.CreateTableAsStmt.into?.rel)];
  if ("ViewStmt" in node) return [tableOf(node.ViewStmt.view)];
  if ("CreateEnumStmt" in node) return [stringsOf(node.CreateEnumStmt.typeName).map(quoted).join(".")];
  if ("IndexStmt" in node) return node.IndexStmt.idxname ? [quoted(node.IndexStmt.idxname)] : [];
  return [];
}

interface Checks {
  readonly uncheckedHere: Set<string>;
  /** Constraint, as `table.constraint`, to the column that it says is never null, as `table.column`. */
  readonly checks: Map<string, string>;
  readonly neverNull: Set<string>;
}

/** Follows `check (c is not null) not valid` and its validation, so that SET NOT NULL after it is known to be quick. */
function noteChecks({ node }: SqlStatement, { uncheckedHere, checks, neverNull }: Checks): void {
  if (!("AlterTableStmt" in node)) return;
  const table = tableOf(node.AlterTableStmt.relation);
  for (const each of node.AlterTableStmt.cmds ?? []) {
    if (!("AlterTableCmd" in each)) continue;
    const { subtype, name, def } = each.AlterTableCmd;
    if (subtype === "AT_AddConstraint" && def && "Constraint" in def) {
      const { conname, skip_validation, raw_expr } = def.Constraint;
      const key = `${table}.${quoted(conname ?? "")}`;
      if (skip_validation) uncheckedHere.add(key);
      const test = raw_expr && "NullTest" in raw_expr ? raw_expr.NullTest : undefined;
      const column =
        test?.arg && "ColumnRef" in test.arg ? stringsOf(test.arg.ColumnRef.fields).at(-1) : undefined;
      if (test?.nulltesttype !== "IS_NOT_NULL" || column === undefined) continue;
      if (skip_validation) checks.set(key, `${table}.${quoted(column)}`);
      else neverNull.add(`${table}.${quoted(column)}`);
    }
    if (subtype === "AT_ValidateConstraint") {
      const checked = checks.get(`${table}.${quoted(name ?? "")}`);
      if (checked) neverNull.add(checked);
    }
  }
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > 100 ? `${line.slice(0, 99)}…` : line;
}
