/** Where unqualified names are looked for: the shard's tables, then the reference tables, then what is shared. */
import pg from "pg";

/** Schema of the reference tables, on each node. A name along the path that does not exist is passed by. */
export const referenceSchema = "ref";

/** The search path for `schema`; `public` is for the types and operators of extensions, once per database. */
export function searchPath(schema: string): string {
  return `${pg.escapeIdentifier(schema)}, ${referenceSchema}, public`;
}
