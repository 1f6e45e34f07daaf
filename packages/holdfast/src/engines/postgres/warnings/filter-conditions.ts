/**
 * Reads the filter of a plan, as EXPLAIN writes it: which columns it compares and how, so that an index can be
 * proposed. Pure. What it does not understand it names no index for.
 */
export interface Condition {
  readonly kind: "equal" | "range" | "contains" | "other";
  /** Columns that it names. */
  readonly columns: readonly string[];
  /** What an index would be on, as SQL: a column, or an expression in parentheses; `undefined`: nothing simple. */
  readonly indexed: string | undefined;
}

export interface FilterConditions {
  /** Whether any of the conditions suffices, rather than all being needed. */
  readonly any: boolean;
  readonly conditions: readonly Condition[];
}

const operators: Readonly<Record<string, Condition["kind"]>> = {
  "=": "equal",
  "<": "range",
  ">": "range",
  "<=": "range",
  ">=": "range",
  "@>": "contains",
};

/**
 * @param columns all columns of the table that is filtered
 * @param alias what the statement calls it: columns of others, which are values here, have another in front
 */
export function filterConditions(filter: string, columns: readonly string[], alias = ""): FilterConditions {
  const text = unwrapped(withoutOthers(filter, alias));
  const all = splitAt(text, " AND ");
  const either = all.length > 1 ? all : splitAt(text, " OR ");
  const any = all.length === 1 && either.length > 1;
  return { any, conditions: either.map((one) => condition(unwrapped(one), columns)) };
}

/** With columns of other tables turned into parameters, and its own without the table's name. */
function withoutOthers(filter: string, alias: string): string {
  if (alias === "") return filter;
  return filter.replace(
    /('(?:[^']|'')*')|("(?:[^"]|"")+"|\b[A-Za-z_]\w*)\.("(?:[^"]|"")+"|[A-Za-z_]\w*)/g,
    (found: string, literal?: string, table?: string, column?: string) => {
      if (literal !== undefined) return found;
      return table?.replace(/^"(.*)"$/, "$1").replaceAll('""', '"') === alias ? (column ?? found) : "$0";
    },
  );
}

function condition(text: string, columns: readonly string[]): Condition {
  const named = columnsIn(text, columns);
  const nulls = /^(.*) IS NULL$/.exec(text);
  if (nulls?.[1] !== undefined)
    return { kind: "equal", columns: named, indexed: indexedOn(nulls[1], columns) };
  const [left, operator, right] = compared(text);
  const kind = operator === undefined ? undefined : operators[operator];
  if (left === undefined || right === undefined || kind === undefined)
    return { kind: "other", columns: named, indexed: undefined };
  // The side that has the column; with one on both sides it is a comparison within the row, which no index helps.
  const sides = [left, right].filter((side) => columnsIn(side, columns).length > 0);
  const [side] = sides;
  if (sides.length !== 1 || side === undefined) return { kind: "other", columns: named, indexed: undefined };
  return { kind, columns: named, indexed: indexedOn(side, columns) };
}

/** A column as it is, or an expression without literals but the names of members. */
function indexedOn(side: string, columns: readonly string[]): string | undefined {
  const bare = unwrapped(side.replace(/^\((.+)\)::[a-z "]+(?:\(\d+\))?$/, "$1"));
  const withoutTable = bare.replace(/^(?:"(?:[^"]|"")+"|\w+)\.(?=["\w]+$)/, "");
  const name = withoutTable.replace(/^"(.*)"$/, "$1").replaceAll('""', '"');
  if (columns.includes(name)) return withoutTable;
  const withoutMembers = bare.replace(/->>? '(?:[^']|'')*'::text/g, "");
  if (/['$]/.test(withoutMembers) || columnsIn(bare, columns).length === 0) return undefined;
  return `(${bare})`;
}

function columnsIn(text: string, columns: readonly string[]): string[] {
  const names = text
    .replace(/'(?:[^']|'')*'/g, "''")
    .matchAll(
      /(?<!::)(?<!\$)(?:"((?:[^"]|"")+)"|\b([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)\b)(?!\s*\(|\.)/g,
    );
  const found = [...names].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? "");
  return [...new Set(found.filter((name) => columns.includes(name)))];
}

/** Left side, operator, right side, where the operator stands outside of all parentheses. */
function compared(text: string): [string?, string?, string?] {
  for (const operator of [" = ", " <= ", " >= ", " < ", " > ", " @> "]) {
    const [left, right, ...more] = splitAt(text, operator);
    if (left !== undefined && right !== undefined && more.length === 0) return [left, operator.trim(), right];
  }
  return [];
}

/** Splits at `separator` outside of parentheses and quotes. */
function splitAt(text: string, separator: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let quote = "";
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string;
    if (quote) {
      if (char === quote) quote = "";
    } else if (char === "'" || char === '"') quote = char;
    else if (char === "(") depth++;
    else if (char === ")") depth--;
    else if (depth === 0 && text.startsWith(separator, at)) {
      parts.push(text.slice(from, at));
      from = at + separator.length;
      at = from - 1;
    }
  }
  return [...parts, text.slice(from)];
}

/** Without parentheses around all of it. */
function unwrapped(text: string): string {
  let inner = text.trim();
  while (inner.startsWith("(") && inner.endsWith(")") && closesAtEnd(inner))
    inner = inner.slice(1, -1).trim();
  return inner;
}

function closesAtEnd(text: string): boolean {
  let depth = 0;
  let quote = "";
  for (const [at, char] of [...text].entries()) {
    if (quote) {
      if (char === quote) quote = "";
    } else if (char === "'" || char === '"') quote = char;
    else if (char === "(") depth++;
    else if (char === ")" && --depth === 0) return at === [...text].length - 1;
  }
  return false;
}
