/**
 * Statements with the shard's schema written into them, so that any session can run them at once: moving a session's
 * search path costs the server and this process as much as a read by key does.
 *
 * Only where everything that the statement names is known to be a table of the query builder's. SQL of the user's
 * own (`sql`…``, functions that are not Postgres's) may name what only the search path finds; it gets the path.
 */
import {
  type CompiledQuery,
  IdentifierNode,
  type OperationNode,
  PostgresQueryCompiler,
  type RootOperationNode,
  WithSchemaPlugin,
} from "kysely";
import pg from "pg";
import { referenceSchema } from "./search-path.ts";

/** No identifier of a user's: Postgres refuses the character. */
const placeholder = "shard\u0000";
const quotedPlaceholder = pg.escapeIdentifier(placeholder);
const plugin = new WithSchemaPlugin(placeholder);
const compiler = new PostgresQueryCompiler();

const textsMax = 2_000;

/** What stands around the schema's name; `undefined` for a statement that needs the search path. */
type Template = readonly string[] | undefined;

export class QualifiedStatements {
  readonly #reference: ReadonlySet<string>;
  #templates = new Map<string, Template>();

  /** @param reference names of tables that are in the schema of the reference tables, on each node */
  constructor(reference: readonly string[] = []) {
    this.#reference = new Set(reference);
  }

  /** @returns the statement's text for `schema`; `undefined` when it needs the search path */
  textFor(query: CompiledQuery, schema: string): string | undefined {
    let template = this.#templates.get(query.sql);
    if (template === undefined && !this.#templates.has(query.sql)) {
      template = templateOf(query, this.#reference);
      this.#remember(query.sql, template);
    }
    return template?.join(pg.escapeIdentifier(schema));
  }

  /** It named something that only the search path finds, such as a table in `public`. */
  needsPath(query: CompiledQuery): void {
    this.#remember(query.sql, undefined);
  }

  #remember(text: string, template: Template): void {
    // Statements that never come again would fill it; those that do are back after their next use.
    if (this.#templates.size >= textsMax) this.#templates = new Map();
    this.#templates.set(text, template);
  }
}

function templateOf({ query, queryId }: CompiledQuery, reference: ReadonlySet<string>): Template {
  if (!namesOnlyTables(query)) return undefined;
  if (reference.size > 0 && renames(query, reference)) return undefined;
  const known = reference.size === 0 ? query : namingReference(query, reference);
  const qualified = plugin.transformQuery({ node: known as RootOperationNode, queryId });
  return compiler.compileQuery(qualified, queryId).sql.split(quotedPlaceholder);
}

/** Whether the statement gives the name of a reference table to something else: an alias, or a `with`. */
function renames(node: OperationNode, reference: ReadonlySet<string>): boolean {
  const { kind, ...fields } = node as OperationNode & Record<string, unknown>;
  if (kind === "ValueNode" || kind === "PrimitiveValueListNode") return false;
  if (kind === "AliasNode") {
    const { alias } = fields as { alias: { name?: string } };
    if (reference.has(alias.name ?? "")) return true;
  }
  if (kind === "CommonTableExpressionNameNode") {
    const { table } = fields as { table: { table: { identifier: { name: string } } } };
    if (reference.has(table.table.identifier.name)) return true;
  }
  return Object.values(fields).some((field) =>
    (Array.isArray(field) ? field : [field]).some(
      (one) => typeof one === "object" && one !== null && "kind" in one && renames(one, reference),
    ),
  );
}

/** The statement with the reference tables' schema at their names; what has a schema is left alone by the plugin. */
function namingReference<Node extends OperationNode>(node: Node, reference: ReadonlySet<string>): Node {
  const fields = Object.entries(node).map(([name, field]) => [name, inField(field, reference)]);
  const named = Object.fromEntries(fields) as Node & {
    schema?: OperationNode;
    identifier?: { name: string };
  };
  if (node.kind !== "SchemableIdentifierNode" || named.schema) return named;
  if (!reference.has(named.identifier?.name ?? "")) return named;
  return { ...named, schema: IdentifierNode.create(referenceSchema) };
}

function inField(field: unknown, reference: ReadonlySet<string>): unknown {
  if (Array.isArray(field)) return field.map((one) => inField(one, reference));
  if (typeof field !== "object" || field === null || !("kind" in field)) return field;
  if (field.kind === "ValueNode" || field.kind === "PrimitiveValueListNode") return field;
  return namingReference(field as OperationNode, reference);
}

/** In `pg_catalog`, which is always searched first. */
const postgresFunctions: ReadonlySet<string> = new Set([
  ...["count", "sum", "avg", "min", "max", "bool_and", "bool_or", "array_agg", "string_agg"],
  ...["json_agg", "jsonb_agg", "to_json", "to_jsonb", "row_number", "rank", "dense_rank"],
  ...["coalesce", "greatest", "least", "lower", "upper", "length", "abs", "round", "now", "any"],
]);

/**
 * Raw SQL of nothing but SQL's own words and signs: it names nothing. Identifiers and values in it are nodes of their
 * own; FROM is only for what is in parentheses, because an identifier behind it would be a table.
 */
const sqlWords =
  /^(?:[\s(),.*<>=]|::|"C"|\bfrom \(|\bextract\(epoch from |\b(?:select|where|order|by|limit|as|and|or|not|is|null|true|false|asc|desc|nulls|first|last|collate|cast|text|varchar|boolean|int2|int4|int8|float4|float8|numeric|uuid|date|timestamp|timestamptz)\b)*$/;

/** Whether the query builder wrote all of it, and it calls only Postgres's own functions. */
export function namesOnlyTables(node: OperationNode): boolean {
  const { kind, ...fields } = node as OperationNode & Record<string, unknown>;
  switch (kind) {
    case "ValueNode":
    case "PrimitiveValueListNode":
      return true; // values, of whatever shape
    case "RawNode": {
      const { sqlFragments } = fields as { sqlFragments: string[] };
      if (!sqlFragments.every((text) => sqlWords.test(text))) return false;
      break;
    }
    case "FunctionNode":
    case "AggregateFunctionNode":
      if (!postgresFunctions.has(String(fields.func))) return false;
  }
  return Object.values(fields).every(fieldNamesOnlyTables);
}

function fieldNamesOnlyTables(field: unknown): boolean {
  if (Array.isArray(field)) return field.every(fieldNamesOnlyTables);
  if (typeof field !== "object" || field === null || !("kind" in field)) return true;
  return namesOnlyTables(field as OperationNode);
}
