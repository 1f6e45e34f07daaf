/**
 * From a query to the keys of the rows that it can touch, or the reason why nobody can say. Pure.
 *
 * Every table of the query, also in the selects inside of it, has to be tied to the same keys: by conditions with
 * `=` or `in` on its key columns, or by being joined to one that is. Then all that the query means is on their
 * shards.
 */
import type {
  DeleteQueryNode,
  InsertQueryNode,
  JoinNode,
  OperationNode,
  SelectQueryNode,
  UpdateQueryNode,
  ValuesNode,
} from "kysely";
import { childNodes } from "../everywhere/mergeable.ts";
import type { ShardKey } from "../port.ts";
import { type Condition, conditionsOf } from "./conditions.ts";
import { combinations, insertedValue, keyOf, keysText } from "./key-values.ts";
import { Pins } from "./pins.ts";
import { Refusal, refuse, type Unroutable } from "./refusal.ts";
import { type Column, type Scope, type Source, sourceOf } from "./scope.ts";

export interface RouteTables {
  /** Key columns of each table. */
  readonly keys: Readonly<Record<string, readonly string[]>>;
  /** How many of the leading ones decide the shard; `undefined` for all. */
  readonly deciding: number | undefined;
}

export interface FoundKeys {
  readonly kind: "read" | "write";
  readonly keys: readonly ShardKey[];
}

export function findKeys(query: OperationNode, tables: RouteTables): FoundKeys | Unroutable {
  try {
    const finder = new Finder(tables);
    finder.visit(query);
    return { kind: query.kind === "SelectQueryNode" ? "read" : "write", keys: finder.keys() };
  } catch (error) {
    if (error instanceof Refusal) return error.why;
    throw error;
  }
}

/** The keys that a table of the query is tied to. */
interface Tied {
  readonly table: string;
  readonly keys: readonly ShardKey[];
  /** Its key columns; none for the rows of an insert, which are no condition on anything. */
  readonly columns: readonly Column[];
}

class Finder {
  readonly #tables: RouteTables;
  readonly #tied: Tied[] = [];

  constructor(tables: RouteTables) {
    this.#tables = tables;
  }

  /** The keys that all tables are tied to. */
  keys(): readonly ShardKey[] {
    const [first, ...others] = this.#tied;
    if (!first) return refuse("the query names no table: use at(key), or shards()");
    for (const { table, keys } of others) {
      if (keysText(keys) !== keysText(first.keys))
        refuse(
          `"${first.table}" and "${table}" are tied to different keys, which may be on different shards: join them by their keys, or ask for each by itself`,
          { table },
        );
    }
    return first.keys;
  }

  visit(node: OperationNode): void {
    if ("with" in node && node.with)
      refuse("WITH is not looked into: write it as a join or a subquery, or use at(key)");
    switch (node.kind) {
      case "SelectQueryNode":
        this.#select(node as SelectQueryNode);
        break;
      case "InsertQueryNode":
        this.#insert(node as InsertQueryNode);
        break;
      case "UpdateQueryNode":
        this.#update(node as UpdateQueryNode);
        break;
      case "DeleteQueryNode": {
        const { from, using, joins, where, returning } = node as DeleteQueryNode;
        const scope = this.#scope([...from.froms, ...(using?.tables ?? [])], joins);
        this.#rows(scope, where?.where, new Pins(), returning ? [returning] : []);
        break;
      }
      default:
        refuse(`${node.kind === "RawNode" ? "raw SQL" : node.kind} is not looked into: use at(key)`);
    }
  }

  #update({ table, from, joins, where, updates = [], returning }: UpdateQueryNode): void {
    const scope = this.#scope([...(table ? [table] : []), ...(from?.froms ?? [])], joins);
    this.#keepKeys(scope.sources[0], updates);
    this.#rows(scope, where?.where, new Pins(), [...updates, ...(returning ? [returning] : [])]);
  }

  #select(node: SelectQueryNode, outer?: Scope, pins?: Pins): void {
    if (node.with) refuse("WITH is not looked into: write it as a join or a subquery, or use at(key)");
    if (node.endModifiers?.length) refuse("it locks rows, and reads cannot: use at(key).write");
    const scope = this.#scope(node.from?.froms ?? [], node.joins, outer);
    const { from: _from, where, ...rest } = node;
    this.#rows(scope, where?.where, new Pins(pins), childNodes(rest as OperationNode), outer === undefined);
  }

  #scope(froms: readonly OperationNode[], joins: readonly JoinNode[] = [], outer?: Scope): Scope {
    const sources = [
      ...froms.map((node) => sourceOf(node)),
      ...joins.map((join) => sourceOf(join.table, join)),
    ];
    for (const source of sources) if (typeof source === "string") refuse(source);
    return { sources: sources as Source[], outer };
  }

  /** Ties the tables of a scope, and of the selects in its conditions and in `rest`. */
  #rows(
    scope: Scope,
    where: OperationNode | undefined,
    pins: Pins,
    rest: readonly OperationNode[],
    isOutermost = true,
  ): void {
    if (isOutermost && scope.sources.length === 0)
      refuse("the query names no table: use at(key), or shards()");
    const conditions = this.#learn(scope, where, pins);
    for (const source of scope.sources) {
      if (source.select) this.#nested(source.select, scope, pins);
      else this.#tie(source, scope, pins, conditions);
    }
    for (const node of [...(where ? [where] : []), ...rest]) this.#nested(node, scope, pins);
  }

  #learn(scope: Scope, where: OperationNode | undefined, pins: Pins): readonly Condition[] {
    const conditions = [...conditionsOf(where, scope)];
    for (const condition of conditions) pins.add(condition);
    for (const { join, name, table = name } of scope.sources) {
      if (!join) continue;
      const own = conditionsOf(join.on?.on, scope);
      conditions.push(...own);
      switch (join.joinType) {
        case "InnerJoin":
        case "CrossJoin":
        case "LateralInnerJoin":
        case "LateralCrossJoin":
          for (const condition of own) pins.add(condition);
          break;
        case "LeftJoin":
        case "LateralLeftJoin":
          for (const condition of own) pins.add(condition, (column) => column.source.join === join);
          break;
        default:
          refuse(
            `"${table}" is joined by ${join.joinType}, which keeps rows without a partner: write it as a left join`,
            { table },
          );
      }
    }
    if (conditions.some(({ kind }) => kind === "raw")) {
      const tables = scope.sources.map(({ table, name }) => `"${table ?? name}"`).join(", ");
      refuse(
        `raw SQL in a condition on ${tables} may hold an OR that nobody sees: write it with the query builder, or use at(key)`,
      );
    }
    return conditions;
  }

  /** Selects inside of an expression see what is known outside of them. */
  #nested(node: OperationNode, scope: Scope, pins: Pins): void {
    if (node.kind === "SelectQueryNode") this.#select(node as SelectQueryNode, scope, pins);
    else for (const child of childNodes(node)) this.#nested(child, scope, pins);
  }

  #tie(source: Source, scope: Scope, pins: Pins, conditions: readonly Condition[]): void {
    const table = source.table as string;
    const columns = this.#keyColumns(table);
    const values = columns.map((name) => {
      const column = { source, name };
      return (
        pins.valuesOf(column) ?? refuse(whyUntied(source, name, scope, conditions), { table, column: name })
      );
    });
    const keys = combinations(values, table);
    const own = columns.map((name) => ({ source, name }));
    const [first] = this.#tied;
    const isJoined = first?.columns.every((column, index) => own[index] && pins.areEqual(column, own[index]));
    if (first && keys.length > 1 && !(first.columns.length > 0 && isJoined))
      refuse(
        `"${first.table}" and "${table}" are asked for several keys each and not joined by them, so that rows of different shards would belong together: join them by their keys`,
        { table },
      );
    this.#tied.push({ table, keys, columns: own });
  }

  /** Those that decide the shard. */
  #keyColumns(table: string): readonly string[] {
    // A table may have the name of what every object has.
    const columns = Object.hasOwn(this.#tables.keys, table) ? this.#tables.keys[table] : undefined;
    if (!columns)
      return refuse(
        `table "${table}" is not among shards.keys: add ${table}: "…" with its key column there, or use at(key)`,
        { table },
      );
    return columns.slice(0, this.#tables.deciding);
  }

  #insert({ into, columns, values, onConflict, returning }: InsertQueryNode): void {
    const source = into ? sourceOf(into) : "an insert has to name a table";
    if (typeof source === "string" || source.table === undefined) {
      refuse(typeof source === "string" ? source : "an insert has to name a table");
      return;
    }
    const { table } = source;
    const keyColumns = this.#keyColumns(table);
    if (values?.kind !== "ValuesNode" || !columns)
      return void refuse(
        `the rows for "${table}" are not given as values, so that nobody knows their keys: use at(key).write`,
        { table },
      );
    const names = columns.map(({ column }) => column.name);
    const keys = (values as ValuesNode).values.map((row) =>
      keyOf(keyColumns.map((column) => insertedValue(row, names.indexOf(column), table, column))),
    );
    this.#keepKeys(source, onConflict?.updates ?? []);
    this.#tied.push({ table, keys, columns: [] });
    const scope: Scope = { sources: [source], outer: undefined };
    for (const node of [values, onConflict, returning]) if (node) this.#nested(node, scope, new Pins());
  }

  /** A row whose key changes would have to move. */
  #keepKeys(source: Source | undefined, updates: readonly { readonly column: OperationNode }[]): void {
    const table = source?.table;
    if (!table) return;
    for (const { column } of updates) {
      const name = (column as OperationNode & { column?: { name?: string } }).column?.name;
      if (name !== undefined && this.#tables.keys[table]?.includes(name))
        refuse(
          `"${table}"."${name}" is a key, and a row whose key changes would be on the wrong shard: delete it and insert another`,
          { table, column: name },
        );
    }
  }
}

function whyUntied(source: Source, column: string, scope: Scope, conditions: readonly Condition[]): string {
  const table = source.table as string;
  const others = conditions.filter(
    (condition) =>
      condition.kind === "other" &&
      condition.columns.some((one) => one.source === source && one.name === column),
  );
  if (others.some((condition) => condition.kind === "other" && condition.isOr))
    return `table "${table}": its key column "${column}" is only spoken of inside of OR, so that rows with other keys may be meant too: ask for each by itself, or use "in"`;
  if (others.length > 0)
    return `table "${table}": its key column "${column}" is compared otherwise than by = or in with values, so that its rows may be on any shard: ask all of them with everywhere`;
  const isAlone = scope.sources.length === 1 && !scope.outer;
  return isAlone
    ? `table "${table}" has no condition on its key column "${column}": add .where("${column}", "=", …), or ask all shards with everywhere`
    : `table "${table}" is not joined by its key: add a condition "${source.name}.${column}" = the key of a table that has one, with the names of tables before those of columns`;
}
