/**
 * Statements other than ALTER TABLE that stop others: indexes, rewrites, renames, whole-table changes.
 *
 * @see PostgreSQL documentation, "Explicit Locking": which statement takes which lock, and what conflicts
 */
import type { DefElem, Node } from "libpg-query";
import { inPieces, type LockRule, madeName, quoted, stringsOf, tableOf } from "./finding.ts";
import { insertAt, type SqlStatement } from "./statement.ts";

const ownFile = ["-- a file of its own:", "-- holdfast: no transaction"];

/** The statement with `concurrently` behind its first `word`. */
function concurrently(statement: SqlStatement, word: RegExp, more = ""): string {
  const token = statement.tokens.find(({ text }) => word.test(text));
  return `${insertAt(statement.text, token?.end ?? 0, ` concurrently${more}`)};`;
}

function hasOption(options: readonly Node[] | undefined, name: string): boolean {
  return (options ?? []).some((node) => "DefElem" in node && (node.DefElem as DefElem).defname === name);
}

export const createIndex: LockRule = (statement) => {
  if (!("IndexStmt" in statement.node)) return [];
  const { concurrent, relation, idxname, indexParams } = statement.node.IndexStmt;
  if (concurrent) return [];
  const table = tableOf(relation);
  const columns = (indexParams ?? []).flatMap((node) =>
    "IndexElem" in node ? [node.IndexElem.name ?? "expr"] : [],
  );
  // A run that is killed half-way leaves an invalid index: it can be found again by its name only.
  const name = idxname ? "" : ` ${madeName(table, columns, "idx")}`;
  return [
    {
      rule: "create-index",
      objects: [table],
      lock: `SHARE on ${table}`,
      blocks: "every write while the index is built",
      safe: [...ownFile, concurrently(statement, /^index$/i, name)],
    },
  ];
};

export const dropObjects: LockRule = (statement) => {
  if (!("DropStmt" in statement.node)) return [];
  const { removeType, objects, concurrent } = statement.node.DropStmt;
  const names = (objects ?? []).flatMap((node) =>
    "List" in node ? [stringsOf(node.List.items).map(quoted).join(".")] : [],
  );
  if (removeType === "OBJECT_INDEX" && !concurrent) {
    return [
      {
        rule: "drop-index",
        objects: names,
        lock: `ACCESS EXCLUSIVE on the table of ${names.join(", ")}`,
        blocks: "every read and write for a moment, behind the longest query that is running",
        safe: names.flatMap((name) => [...ownFile, `drop index concurrently if exists ${name};`]),
      },
    ];
  }
  if (removeType !== "OBJECT_TABLE" && removeType !== "OBJECT_VIEW") return [];
  return [
    {
      rule: "drop-table",
      objects: names,
      lock: `ACCESS EXCLUSIVE on ${names.join(", ")}`,
      blocks: "every read and write; code of the running release that names it fails from then on",
      safe: [
        "-- first a release that does not name it; then this, marked:",
        `-- holdfast: safe because no release in use names ${names.join(", ")}`,
        `${statement.text};`,
      ],
    },
  ];
};

export const renames: LockRule = ({ node, text }) => {
  if ("AlterObjectSchemaStmt" in node && node.AlterObjectSchemaStmt.relation) {
    const table = tableOf(node.AlterObjectSchemaStmt.relation);
    const moved = `${quoted(node.AlterObjectSchemaStmt.newschema ?? "")}.${table.replace(/^.*\./, "")}`;
    return [
      {
        rule: "set-schema",
        objects: [table],
        lock: `ACCESS EXCLUSIVE on ${table}`,
        blocks: "every read and write for a moment; a shard's statements no longer find the table",
        safe: [`${text};`, `create view ${table} as select * from ${moved};`],
      },
    ];
  }
  if (!("RenameStmt" in node)) return [];
  const { renameType, relationType, relation, subname, newname } = node.RenameStmt;
  const table = tableOf(relation);
  const from = quoted(subname ?? "");
  const to = quoted(newname ?? "");
  const lock = `ACCESS EXCLUSIVE on ${table}`;
  if (renameType === "OBJECT_COLUMN" && relationType === "OBJECT_TABLE") {
    return [
      {
        rule: "rename-column",
        objects: [table],
        lock,
        blocks: `every read and write for a moment; code of the running release that names ${from} fails from then on`,
        safe: [
          `alter table ${table} add column ${to} …; -- of the type of ${from}`,
          "-- a release that writes both columns; then fill the new one:",
          ...inPieces(table, `update ${table} set ${to} = ${from}`, `${to} is null and ${from} is not null`),
          `-- a release that names ${to} only; then, in a later file, drop ${from}.`,
        ],
      },
    ];
  }
  if (renameType !== "OBJECT_TABLE") return [];
  return [
    {
      rule: "rename-table",
      objects: [table],
      lock,
      blocks: `every read and write for a moment; code of the running release that names ${table} fails from then on`,
      safe: [
        `${text};`,
        "-- in the same file, so that the running release goes on (a simple view can be written to):",
        `create view ${table} as select * from ${to};`,
        "-- in a later file, when no release names it:",
        `drop view ${table};`,
      ],
    },
  ];
};

export const wholeTable: LockRule = ({ node, text }) => {
  if ("TruncateStmt" in node) {
    const tables = (node.TruncateStmt.relations ?? []).flatMap((each) =>
      "RangeVar" in each ? [tableOf(each.RangeVar)] : [],
    );
    return [
      {
        rule: "truncate",
        objects: tables,
        lock: `ACCESS EXCLUSIVE on ${tables.join(", ")}`,
        blocks: "every read and write until the file is committed",
        safe: tables.flatMap((table) => inPieces(table, `delete from ${table}`, "true")),
      },
    ];
  }
  const update = "UpdateStmt" in node ? node.UpdateStmt : undefined;
  const change = update ?? ("DeleteStmt" in node ? node.DeleteStmt : undefined);
  if (!change || change.whereClause) return [];
  const table = tableOf(change.relation);
  const sets = (update?.targetList ?? []).flatMap((each) =>
    "ResTarget" in each ? [each.ResTarget.name ?? ""] : [],
  );
  return [
    {
      rule: update ? "update-all" : "delete-all",
      objects: [table],
      lock: `ROW EXCLUSIVE on ${table}, and every row`,
      blocks:
        "every write of a row that is there, until the file is committed; replicas get all of it at once",
      safe: inPieces(
        table,
        text,
        update ? `${sets.map(quoted).join(", ")} has not the new value yet` : "true",
      ),
    },
  ];
};

/** As in `LockTableMode`: 5 is SHARE. Weaker ones stop neither reads nor writes. */
const lockModes = ["", "", "", "", "", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"];

export const explicitLock: LockRule = ({ node }) => {
  if (!("LockStmt" in node)) return [];
  const { relations, mode = 8 } = node.LockStmt;
  const level = lockModes[mode];
  if (!level) return [];
  const tables = (relations ?? []).flatMap((each) => ("RangeVar" in each ? [tableOf(each.RangeVar)] : []));
  return [
    {
      rule: "lock-table",
      objects: tables,
      lock: `${level} on ${tables.join(", ")}`,
      blocks: `every ${mode === 8 ? "read and write" : "write"} until the file is committed`,
      safe: [
        "-- nothing: statements take the locks that they need; migrations of a node never run beside each other.",
      ],
    },
  ];
};

export const rewrites: LockRule = (statement) => {
  const { node } = statement;
  if ("ClusterStmt" in node || ("VacuumStmt" in node && hasOption(node.VacuumStmt.options, "full"))) {
    const relation =
      "ClusterStmt" in node
        ? node.ClusterStmt.relation
        : node.VacuumStmt.rels?.flatMap((rel) =>
            "VacuumRelation" in rel ? [rel.VacuumRelation.relation] : [],
          )[0];
    const table = relation ? tableOf(relation) : "every table";
    return [
      {
        rule: "ClusterStmt" in node ? "cluster" : "vacuum-full",
        objects: [table],
        lock: `ACCESS EXCLUSIVE on ${table}`,
        blocks: "every read and write while the table is written anew",
        safe: [
          ...ownFile,
          `vacuum (analyze)${relation ? ` ${table}` : ""};`,
          "-- to give space back to the disk beside traffic: the extension pg_repack.",
        ],
      },
    ];
  }
  if ("ReindexStmt" in node && !hasOption(node.ReindexStmt.params, "concurrently")) {
    const { kind, relation, name } = node.ReindexStmt;
    const what = relation ? tableOf(relation) : quoted(name ?? "");
    return [
      {
        rule: "reindex",
        objects: [what],
        lock: `SHARE on the table, ACCESS EXCLUSIVE on each index of ${what}`,
        blocks: "every write, and every read that uses the index, while it is built",
        safe: [
          ...ownFile,
          concurrently(
            statement,
            kind === "REINDEX_OBJECT_INDEX" ? /^index$/i : /^(?:table|schema|database)$/i,
          ),
        ],
      },
    ];
  }
  if ("RefreshMatViewStmt" in node && !node.RefreshMatViewStmt.concurrent) {
    const view = tableOf(node.RefreshMatViewStmt.relation);
    return [
      {
        rule: "refresh-view",
        objects: [view],
        lock: `ACCESS EXCLUSIVE on ${view}`,
        blocks: "every read of the view while it is computed",
        safe: ["-- needs a unique index on the view:", concurrently(statement, /^view$/i)],
      },
    ];
  }
  return [];
};

export const enums: LockRule = ({ node, text }) => {
  if (!("AlterEnumStmt" in node)) return [];
  const { typeName, oldVal, newVal } = node.AlterEnumStmt;
  const type = stringsOf(typeName).map(quoted).join(".");
  if (!oldVal) {
    return [
      {
        rule: "enum-add-value",
        objects: [type],
        lock: `none on tables; ${type} itself until the file is committed`,
        blocks: "nobody; but no statement of this file can use the new value, and it can never be removed",
        safe: [
          "-- in a file with nothing that uses it:",
          `-- holdfast: safe because nothing in this file uses ${newVal}`,
          `${text};`,
        ],
      },
    ];
  }
  return [
    {
      rule: "enum-rename-value",
      objects: [type],
      lock: `none on tables; ${type} itself until the file is committed`,
      blocks: `nobody; but code of the running release that writes or compares '${oldVal}' fails from then on`,
      safe: [
        `alter type ${type} add value '${(newVal ?? "").replaceAll("'", "''")}';`,
        "-- a release that knows both; then change the rows in pieces; the old value stays.",
      ],
    },
  ];
};

export const triggers: LockRule = ({ node, text }) => {
  if (!("CreateTrigStmt" in node)) return [];
  const table = tableOf(node.CreateTrigStmt.relation);
  return [
    {
      rule: "create-trigger",
      objects: [table],
      lock: `SHARE ROW EXCLUSIVE on ${table}`,
      blocks: "every write until the file is committed: a moment, when nothing slow is in the same file",
      safe: ["-- alone in its file:", "-- holdfast: safe because it is alone in its file", `${text};`],
    },
  ];
};
