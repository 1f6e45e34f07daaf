/**
 * Reads by one value or several, built once: building a query costs as much as sending it.
 *
 * They name only tables, so that they are sent with the shard's schema in them. A statement by one value is always
 * the same; one by several differs by their number.
 */
import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from "kysely";
import type { AnyTables } from "../../../parts/database/port.ts";

/** In the place of the values: `where("value", values.operator, values.operand)`, the last of the conditions. */
export interface ValuesPlace {
  readonly operator: "=" | "in";
  readonly operand: string | readonly string[];
}

interface Compilable {
  compile(): CompiledQuery;
}

const builder = new Kysely<AnyTables>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
});

/**
 * @param build the query; its own parameters come before the values
 * @returns what runs it, with the parameters before the values given last
 */
export function readByValues(
  build: (db: Kysely<AnyTables>, values: ValuesPlace) => Compilable,
): <Row>(
  db: Kysely<AnyTables>,
  values: readonly string[],
  before?: readonly string[],
) => Promise<readonly Row[]> {
  const one = build(builder, { operator: "=", operand: "" }).compile();
  return async <Row>(db: Kysely<AnyTables>, values: readonly string[], before: readonly string[] = []) => {
    const query = values.length === 1 ? one : build(builder, { operator: "in", operand: values }).compile();
    const { rows } = await db.executeQuery<Row>({ ...query, parameters: [...before, ...values] });
    return rows;
  };
}
