/**
 * Statements that cannot run in a transaction: a file marked `-- holdfast: no transaction` holds one of them.
 *
 * Such a statement and the row that records it are not one step, so only those are taken whose half-done state can
 * be told from the outside, and taken back or gone on with.
 */
import { quoted, stringsOf, tableOf } from "./lock-rules/finding.ts";
import type { SqlFile, SqlStatement } from "./lock-rules/statement.ts";

export type OutsideStatement =
  | { readonly kind: "create-index"; readonly table: string; readonly index: string; readonly orNot: boolean }
  | { readonly kind: "drop-index"; readonly index: string }
  | { readonly kind: "reindex"; readonly what: string; readonly isIndex: boolean }
  | { readonly kind: "detach"; readonly table: string; readonly partition: string }
  | { readonly kind: "vacuum" };

const allowed =
  "CREATE INDEX CONCURRENTLY with a name, DROP INDEX CONCURRENTLY, REINDEX INDEX or TABLE CONCURRENTLY, ALTER TABLE … DETACH PARTITION … CONCURRENTLY, VACUUM or ANALYZE";

/** Pure: what the file of one statement does, or what is wrong with it. */
export function outsideStatement(file: SqlFile | undefined): OutsideStatement | { readonly problem: string } {
  if (!file) return { problem: "it says no transaction, and Postgres's parser cannot read it" };
  const [statement, ...more] = file.statements;
  if (!statement || more.length > 0) {
    return {
      problem: `it says no transaction, so it should hold exactly one statement, not ${file.statements.length}: only one can be found again half-way`,
    };
  }
  return read(statement) ?? { problem: `it says no transaction; that is for ${allowed}` };
}

function read({ node }: SqlStatement): OutsideStatement | undefined {
  if ("IndexStmt" in node) {
    const { concurrent, idxname, relation, if_not_exists } = node.IndexStmt;
    if (!concurrent || !idxname) return undefined;
    return { kind: "create-index", table: tableOf(relation), index: idxname, orNot: if_not_exists === true };
  }
  if ("DropStmt" in node) {
    const { removeType, concurrent, objects } = node.DropStmt;
    const [object, ...others] = objects ?? [];
    if (removeType !== "OBJECT_INDEX" || !concurrent || !object || others.length > 0 || !("List" in object))
      return undefined;
    return { kind: "drop-index", index: stringsOf(object.List.items).map(quoted).join(".") };
  }
  if ("ReindexStmt" in node) {
    const { kind, relation, params } = node.ReindexStmt;
    const concurrent = (params ?? []).some((p) => "DefElem" in p && p.DefElem.defname === "concurrently");
    if (!concurrent || !relation) return undefined;
    return { kind: "reindex", what: tableOf(relation), isIndex: kind === "REINDEX_OBJECT_INDEX" };
  }
  if ("VacuumStmt" in node) {
    const full = (node.VacuumStmt.options ?? []).some((o) => "DefElem" in o && o.DefElem.defname === "full");
    return full ? undefined : { kind: "vacuum" };
  }
  if ("AlterTableStmt" in node) {
    const [command, ...others] = node.AlterTableStmt.cmds ?? [];
    if (!command || others.length > 0 || !("AlterTableCmd" in command)) return undefined;
    const { subtype, def } = command.AlterTableCmd;
    if (subtype !== "AT_DetachPartition" || !def || !("PartitionCmd" in def)) return undefined;
    const { name, concurrent } = def.PartitionCmd;
    if (!concurrent) return undefined;
    return { kind: "detach", table: tableOf(node.AlterTableStmt.relation), partition: tableOf(name) };
  }
  return undefined;
}
