/** Values as EDN, the way a Clojure program would have printed them. */

/** What may stand behind a colon. */
const keywordable = /^[A-Za-z*!_?$%&=<>.+-][\w*!?$%&=<>.+#/-]*$/;

export function ednKeyword(name: string): string {
  return keywordable.test(name) ? `:${name}` : JSON.stringify(name);
}

/** @param microOperations whether vectors such as `["append" 1 2]` begin with what is done, as in transactions */
export function ednText(value: unknown, microOperations = false): string {
  if (value === null || value === undefined) return "nil";
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") return numberText(value);
  if (typeof value === "bigint") return `${value}N`;
  if (Array.isArray(value)) {
    const items = value.map((item, position) =>
      microOperations && position === 0 && typeof item === "string"
        ? ednKeyword(item)
        : ednText(item, microOperations),
    );
    return `[${items.join(" ")}]`;
  }
  if (typeof value === "object") {
    const entries = Object.entries(value).map(([key, item]) => `${mapKey(key)} ${ednText(item)}`);
    return `{${entries.join(", ")}}`;
  }
  return String(value);
}

function mapKey(key: string): string {
  return /^(0|-?[1-9]\d{0,14})$/.test(key) ? key : ednKeyword(key);
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return "##NaN";
  if (!Number.isFinite(value)) return value > 0 ? "##Inf" : "##-Inf";
  // Beyond 2^53 a double written in full would be read as an exact whole number, which it is not.
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? value.toExponential() : String(value);
}
