/** When two values of a history are the same: by what they hold, not by which object they are. */

/**
 * A primitive that is the same for equal values and differs for others: what maps and memos are keyed by. `null`
 * and `undefined`, a value that is absent and one that was never given, are the same.
 */
export function identity(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value !== "object" || value === null) return value;
  // The mark keeps a string that looks like an array apart from the array.
  return `\u0000${JSON.stringify(value, exact)}`;
}

export function sameValue(a: unknown, b: unknown): boolean {
  return a === b || identity(a) === identity(b);
}

function exact(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return { "\u0000bigint": `${value}` };
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A value for people: short, and as they would write it. */
export function shownValue(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (typeof value === "string") return /^[\w.:-]+$/.test(value) ? value : JSON.stringify(value);
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return `[${value.map(shownValue).join(" ")}]`;
  return `{${Object.entries(value)
    .map(([key, item]) => `${key} ${shownValue(item)}`)
    .join(", ")}}`;
}
