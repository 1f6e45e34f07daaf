/**
 * A query builder that only builds: to see what a query says before it is known where it goes.
 */
import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from "kysely";
import type { AnyTables } from "./port.ts";

/** Its queries compile; executed, they answer with nothing, so whoever asks for one should get the builder. */
export const compileOnly = new Kysely<AnyTables>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
});

/** A query of the builder that has not been executed. */
export interface Buildable<Row> {
  compile(): CompiledQuery;
  /** Never called; it says what a row is. */
  execute(): Promise<Row[]>;
}

/** @returns undefined for anything but a query of the builder that was not executed */
export function compiled(query: unknown): CompiledQuery | undefined {
  if (typeof query !== "object" || query === null || !("compile" in query)) return undefined;
  // SQL of the user's own is a builder too, and cannot be looked into.
  return "isRawBuilder" in query ? undefined : (query as Buildable<unknown>).compile();
}
