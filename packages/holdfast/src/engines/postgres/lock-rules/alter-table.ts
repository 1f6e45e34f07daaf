/**
 * ALTER TABLE, action by action: which of them read or rewrite the whole table under a lock that stops everybody.
 *
 * @see PostgreSQL documentation, "ALTER TABLE" (lock levels in its description) and "Explicit Locking"
 */
import type { AlterTableCmd, ColumnDef, Constraint } from "libpg-query";
import { columnFindings } from "./add-column.ts";
import { constraintFindings } from "./add-constraint.ts";
import { inPieces, type LockFinding, type LockRule, madeName, quoted, tableOf } from "./finding.ts";
import { type SqlStatement, sliceOf } from "./statement.ts";

export const alterTable: LockRule = (statement, context) => {
  const { node } = statement;
  if (!("AlterTableStmt" in node) || node.AlterTableStmt.objtype !== "OBJECT_TABLE") return [];
  const table = tableOf(node.AlterTableStmt.relation);
  const actions = actionTexts(statement);
  return (node.AlterTableStmt.cmds ?? []).flatMap((cmd, index) =>
    "AlterTableCmd" in cmd ? actionFindings(table, cmd.AlterTableCmd, actions[index] ?? "", context) : [],
  );
};

/** The actions as they are written: what stands between the commas behind the table's name. */
function actionTexts(statement: SqlStatement): string[] {
  const { tokens } = statement;
  let at = tokens.findIndex(({ text }) => /^table$/i.test(text)) + 1;
  const is = (word: string) => tokens[at]?.text.toLowerCase() === word;
  if (is("if")) at += 2;
  if (is("only")) at++;
  const parenthesised = is("(");
  if (parenthesised) at++;
  at++;
  while (is(".")) at += 2;
  if (parenthesised || is("*")) at++;
  const texts: string[] = [];
  let depth = 0;
  let from = at;
  for (let i = at; i <= tokens.length; i++) {
    const text = tokens[i]?.text;
    if (text === "(" || text === "[") depth++;
    if (text === ")" || text === "]") depth--;
    if (text !== undefined && !(text === "," && depth === 0)) continue;
    const [first, last] = [tokens[from], tokens[i - 1]];
    if (first && last) texts.push(sliceOf(statement, first, last));
    from = i + 1;
  }
  return texts;
}

function actionFindings(
  table: string,
  command: AlterTableCmd,
  action: string,
  context: Parameters<LockRule>[1],
): readonly LockFinding[] {
  const { subtype, name, def } = command;
  const column = quoted(name ?? "");
  const alter = `alter table ${table}`;
  const everybody = (rule: string, blocks: string, safe: readonly string[]): LockFinding[] => [
    { rule, objects: [table], lock: `ACCESS EXCLUSIVE on ${table}`, blocks, safe },
  ];
  switch (subtype) {
    case "AT_AddColumn":
      return def && "ColumnDef" in def ? columnFindings(table, def.ColumnDef as ColumnDef, action) : [];
    case "AT_AddConstraint":
      return def && "Constraint" in def
        ? constraintFindings(table, def.Constraint as Constraint, action)
        : [];
    case "AT_AlterColumnType":
      return everybody(
        "alter-type",
        "every read and write while the table is written anew, unless the new type only widens the old one (varchar to text)",
        [
          `${alter} add column ${quoted(`${name}_new`)} ${typeIn(action)};`,
          "-- a release that writes both columns; then fill the new one:",
          ...inPieces(
            table,
            `update ${table} set ${quoted(`${name}_new`)} = ${column}`,
            `${quoted(`${name}_new`)} is null and ${column} is not null`,
          ),
          "-- a release that reads the new one; then, in a later file, drop the old one.",
        ],
      );
    case "AT_SetNotNull": {
      if (context.neverNull.has(`${table}.${column}`)) return [];
      const check = madeName(table, [name ?? ""], "not_null");
      return everybody("set-not-null", "every read and write while the whole table is searched for nulls", [
        `${alter} add constraint ${check} check (${column} is not null) not valid;`,
        "-- the next file:",
        `${alter} validate constraint ${check};`,
        "-- the file after it, which then needs no search:",
        `${alter} alter column ${column} set not null;`,
        `${alter} drop constraint ${check};`,
      ]);
    }
    case "AT_ValidateConstraint":
      if (!context.uncheckedHere.has(`${table}.${column}`)) return [];
      return everybody(
        "validate-in-same-file",
        "as adding it checked would: a file is one transaction, so the lock of ADD is held while every row is read",
        ["-- the next file:", `${alter} validate constraint ${column};`],
      );
    case "AT_DropColumn":
      return everybody(
        "drop-column",
        "every read and write for a moment; code of the running release that names the column fails from then on",
        [
          "-- first a release that does not name the column; then this, marked:",
          `-- holdfast: safe because no release in use names ${name}`,
          `${alter} ${action};`,
        ],
      );
    case "AT_DisableTrig":
    case "AT_DisableTrigAll":
    case "AT_DisableTrigUser":
      return [
        {
          rule: "disable-trigger",
          objects: [table],
          lock: `SHARE ROW EXCLUSIVE on ${table}`,
          blocks:
            "every write for the rest of this file; if it is not enabled again, foreign keys and other triggers are not kept for anybody",
          safe: [
            "-- for this transaction's own statements only (needs a superuser):",
            "set local session_replication_role to replica;",
          ],
        },
      ];
    case "AT_SetLogged":
    case "AT_SetUnLogged":
    case "AT_SetTableSpace":
    case "AT_SetAccessMethod":
      return everybody("rewrite", "every read and write while the table is written anew", [
        `create table ${madeName(table, [], "new")} (like ${table} including all);`,
        "-- a release that writes both; copy the old rows in pieces; then, in a later file, rename.",
      ]);
    case "AT_DetachPartition": {
      if (def && "PartitionCmd" in def && def.PartitionCmd.concurrent) return [];
      return everybody(
        "detach-partition",
        "every read and write of the whole partitioned table for a moment, behind the longest query that is running",
        ["-- a file of its own:", "-- holdfast: no transaction", `${alter} ${action} concurrently;`],
      );
    }
    default:
      return [];
  }
}

/** The type as the action names it: what stands behind TYPE and before COLLATE or USING. */
function typeIn(action: string): string {
  return /\btype\s+([\s\S]*?)(?:\s+(?:collate|using)\b[\s\S]*)?$/i.exec(action)?.[1] ?? "…";
}
