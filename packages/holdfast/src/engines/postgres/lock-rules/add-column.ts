/**
 * ALTER TABLE … ADD COLUMN: instant with a default that is the same for every row, a rewrite of the table with one
 * that is not.
 *
 * @see PostgreSQL documentation, "ALTER TABLE", notes: "a constant default avoids a rewrite"
 */
import type { ColumnDef, Constraint, Node } from "libpg-query";
import { constraintsOf, inPieces, type LockFinding, madeName, quoted, stringsOf } from "./finding.ts";

export function columnFindings(table: string, column: ColumnDef, action: string): readonly LockFinding[] {
  const name = quoted(column.colname ?? "");
  const constraints = constraintsOf(column);
  const find = (type: Constraint["contype"]) => constraints.find(({ contype }) => contype === type);
  const type = stringsOf(column.typeName?.names).at(-1) ?? "";
  const plain = typeTextOf(column, action);
  const alter = `alter table ${table}`;
  const findings: LockFinding[] = [];
  const add = (rule: string, blocks: string, safe: readonly string[]) =>
    findings.push({ rule, objects: [table], lock: `ACCESS EXCLUSIVE on ${table}`, blocks, safe });

  const notNull = find("CONSTR_NOTNULL");
  const byDefault = find("CONSTR_DEFAULT")?.raw_expr;
  const numbered = /^(?:small|big)?serial[248]?$/.test(type) || find("CONSTR_IDENTITY") !== undefined;
  const volatile = byDefault !== undefined && mayVary(byDefault);
  const expression = defaultTextOf(action);
  if (numbered) {
    const sequence = madeName(table, [column.colname ?? ""], "seq");
    add("add-column-numbered", "every read and write while every row gets a number", [
      `create sequence ${sequence};`,
      `${alter} add column ${name} bigint;`,
      `${alter} alter column ${name} set default nextval('${sequence.replaceAll("'", "''")}');`,
      ...inPieces(table, `update ${table} set ${name} = default`, `${name} is null`),
    ]);
  } else if (find("CONSTR_GENERATED")) {
    add(
      "add-column-generated",
      "every read and write while the table is written anew with the computed values",
      [
        `${alter} add column ${name} ${plain};`,
        "-- a trigger before insert or update that computes it; then fill what is there:",
        ...inPieces(table, `update ${table} set ${name} = ${name}`, `${name} is null`),
      ],
    );
  } else if (volatile) {
    add(
      "add-column-volatile-default",
      "every read and write while the table is written anew: the default may differ from row to row",
      [
        `${alter} add column ${name} ${plain};`,
        `${alter} alter column ${name} set default ${expression};`,
        ...inPieces(table, `update ${table} set ${name} = ${expression}`, `${name} is null`),
        ...(notNull
          ? ["-- then SET NOT NULL in the safe way: a check NOT VALID, validated in a file of its own."]
          : []),
      ],
    );
  } else if (notNull && byDefault === undefined) {
    const check = madeName(table, [column.colname ?? ""], "not_null");
    add(
      "add-column-not-null",
      "every read and write for a moment, and it fails as soon as the table has a row",
      [
        `${alter} add column ${name} ${plain};`,
        "-- fill it, in pieces; then:",
        `${alter} add constraint ${check} check (${name} is not null) not valid;`,
        "-- the next file:",
        `${alter} validate constraint ${check};`,
        "-- the file after it:",
        `${alter} alter column ${name} set not null;`,
      ],
    );
  }
  if (find("CONSTR_UNIQUE") || find("CONSTR_PRIMARY")) {
    const index = madeName(table, [column.colname ?? ""], "key");
    add("add-column-unique", "every read and write while the index is built", [
      `${alter} add column ${name} ${plain};`,
      "-- a file of its own:",
      "-- holdfast: no transaction",
      `create unique index concurrently ${index} on ${table} (${name});`,
      "-- the next file:",
      `${alter} add constraint ${index} ${find("CONSTR_PRIMARY") ? "primary key" : "unique"} using index ${index};`,
    ]);
  }
  return findings;
}

/** Functions that answer the same within a statement; of any other nobody knows here. */
const stable = new Set(
  "now transaction_timestamp statement_timestamp current_setting lower upper to_timestamp to_date make_interval jsonb_build_object json_build_object jsonb_build_array coalesce concat length abs round floor ceil".split(
    " ",
  ),
);

/** Whether an expression calls a function that may answer otherwise for each row. */
function mayVary(expression: Node): boolean {
  let found = false;
  const walk = (value: unknown): void => {
    if (found || typeof value !== "object" || value === null) return;
    if ("FuncCall" in value) {
      const call = (value as { FuncCall: { funcname?: Node[] } }).FuncCall;
      if (!stable.has(stringsOf(call.funcname).at(-1) ?? "")) found = true;
    }
    for (const inner of Object.values(value)) walk(inner);
  };
  walk(expression);
  return found;
}

/** Words that end the type, or the default, of a column definition. */
const nextClause =
  /\s+(?:default|not\s+null|null|unique|primary\s+key|references|check|constraint|generated|collate|compression|storage)\b/i;

function typeTextOf(column: ColumnDef, action: string): string {
  const behind = action.replace(/^add\s+(?:column\s+)?(?:if\s+not\s+exists\s+)?/i, "");
  const afterName = behind.startsWith('"')
    ? behind.replace(/^"(?:[^"]|"")*"\s*/, "")
    : behind.slice(Buffer.from(column.colname ?? "").toString().length).trimStart();
  const end = nextClause.exec(` ${afterName}`);
  return (end ? ` ${afterName}`.slice(0, end.index) : afterName).trim();
}

function defaultTextOf(action: string): string {
  const start = /\bdefault\s+/i.exec(action);
  if (!start) return "";
  const rest = action.slice(start.index + start[0].length);
  const end = nextClause.exec(rest);
  return (end ? rest.slice(0, end.index) : rest).trim();
}
