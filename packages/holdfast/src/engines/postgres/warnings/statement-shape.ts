/**
 * The shape of a statement: its text without what differs from one use to the next. Literals become `?`, lists of
 * parameters in parentheses `(…)`, comments and white space nothing: so that uses can be counted, and no value is ever shown.
 */
const token = new RegExp(
  [
    String.raw`(?<skip>\s+|--[^\n]*|/\*[\s\S]*?(?:\*/|$))`,
    String.raw`(?<literal>(?:[eE]'(?:[^'\\]|\\[\s\S]|'')*|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*)(?:'|$))`,
    String.raw`(?<dollar>\$(?<tag>[A-Za-z_]\w*)?\$[\s\S]*?(?:\$\k<tag>\$|$))`,
    String.raw`(?<name>"(?:[^"]|"")*(?:"|$)|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)`,
    String.raw`(?<parameter>\$\d+)`,
    String.raw`(?<number>(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)`,
    String.raw`(?<other>::|[<>=!~@#%^&|?+*/-]+|[\s\S])`,
  ].join("|"),
  "gy",
);

export function statementShape(text: string): string {
  const parts: string[] = [];
  let gap = false;
  for (const { 0: found, groups = {} } of text.matchAll(token)) {
    if (groups.skip !== undefined) {
      gap = true;
      continue;
    }
    const value = groups.literal !== undefined || groups.dollar !== undefined || groups.number !== undefined;
    const part = value ? "?" : groups.parameter === undefined ? found : "$";
    if (gap && parts.length > 0) parts.push(" ");
    gap = false;
    parts.push(part);
  }
  // A list of any length is one shape, and so are rows of values.
  return parts
    .join("")
    .replace(/\([$?](?: ?, ?[$?])+\)/g, "(…)")
    .replace(/\((?:…|[$?])\)(?: ?, ?\((?:…|[$?])\))+/g, "(…), …");
}
