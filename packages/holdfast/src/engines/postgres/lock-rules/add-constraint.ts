/**
 * ALTER TABLE … ADD CONSTRAINT: what is already there is checked, or indexed, under the lock, unless it is said not
 * to be.
 */
import type { Constraint } from "libpg-query";
import { type LockFinding, madeName, quoted, stringsOf, tableOf } from "./finding.ts";

export function constraintFindings(
  table: string,
  constraint: Constraint,
  action: string,
): readonly LockFinding[] {
  const alter = `alter table ${table}`;
  const named = (suffix: string, columns: readonly string[] = []) =>
    constraint.conname ? quoted(constraint.conname) : madeName(table, columns, suffix);
  /** The action with a name, because what follows has to name it. */
  const withName = (name: string) =>
    constraint.conname ? action : action.replace(/^add\s+/i, `add constraint ${name} `);
  switch (constraint.contype) {
    case "CONSTR_FOREIGN": {
      if (constraint.skip_validation) return [];
      const name = named("fkey", stringsOf(constraint.fk_attrs));
      const other = tableOf(constraint.pktable);
      return [
        {
          rule: "add-foreign-key",
          objects: [table],
          lock: `SHARE ROW EXCLUSIVE on ${table} and ${other}`,
          blocks: "every write of both tables while every row is looked up",
          safe: [
            `${alter} ${withName(name)} not valid;`,
            "-- the next file, which stops nobody:",
            `${alter} validate constraint ${name};`,
          ],
        },
      ];
    }
    case "CONSTR_CHECK": {
      if (constraint.skip_validation) return [];
      const name = named("check");
      return [
        {
          rule: "add-check",
          objects: [table],
          lock: `ACCESS EXCLUSIVE on ${table}`,
          blocks: "every read and write while every row is checked",
          safe: [
            `${alter} ${withName(name)} not valid;`,
            "-- the next file, which stops nobody:",
            `${alter} validate constraint ${name};`,
          ],
        },
      ];
    }
    case "CONSTR_UNIQUE":
    case "CONSTR_PRIMARY": {
      if (constraint.indexname) return [];
      const keys = stringsOf(constraint.keys);
      const primary = constraint.contype === "CONSTR_PRIMARY";
      const name = named(primary ? "pkey" : "key", primary ? [] : keys);
      return [
        {
          rule: primary ? "add-primary-key" : "add-unique",
          objects: [table],
          lock: `ACCESS EXCLUSIVE on ${table}`,
          blocks: "every read and write while the index is built",
          safe: [
            "-- a file of its own:",
            "-- holdfast: no transaction",
            `create unique index concurrently ${name} on ${table} (${keys.map(quoted).join(", ")});`,
            "-- the next file" +
              (primary
                ? " (columns that may be null are searched for nulls: check them NOT VALID and validate before):"
                : ":"),
            `${alter} add constraint ${name} ${primary ? "primary key" : "unique"} using index ${name};`,
          ],
        },
      ];
    }
    case "CONSTR_EXCLUSION":
      return [
        {
          rule: "add-exclusion",
          objects: [table],
          lock: `ACCESS EXCLUSIVE on ${table}`,
          blocks:
            "every read and write while the index is built; Postgres has no way to add one beside traffic",
          safe: [
            `create table ${madeName(table, [], "new")} (like ${table} including all, ${action.replace(/^add\s+/i, "")});`,
            "-- a release that writes both; copy the old rows in pieces; then, in a later file, rename.",
          ],
        },
      ];
    default:
      return [];
  }
}
