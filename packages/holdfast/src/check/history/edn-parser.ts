/**
 * Clojure's data notation (EDN), as far as recorded histories use it: one form after another, from text that
 * may still be growing.
 *
 * What it becomes: `nil` null; keywords and symbols their names; vectors, lists and sets arrays; maps objects;
 * whole numbers beyond 2^53 bigints; a tagged literal (`#inst "…"`, `#jepsen.history.Op{…}`) the value it tags.
 *
 * @see https://github.com/edn-format/edn
 */
export class EdnSyntaxError extends Error {
  /** Where in the text, from 0. */
  readonly offset: number;

  constructor(problem: string, offset: number) {
    super(problem);
    this.offset = offset;
  }
}

/** The text ends inside a form: with more text it may be read. */
export const incomplete = Symbol("incomplete");

const nestingMax = 500;

export class EdnParser {
  /** Where the next form begins. */
  position = 0;
  #text: string;
  #final: boolean;
  #depth = 0;

  /** @param final whether no more text follows */
  constructor(text: string, final = true) {
    this.#text = text;
    this.#final = final;
  }

  /** Goes to the next form or closing bracket. @returns its first character; "" at the end of the text */
  peek(): string {
    this.#skipBlank();
    return this.#text.charAt(this.position);
  }

  /**
   * Reads one form.
   *
   * @throws {EdnSyntaxError} when it cannot be read
   * @throws `incomplete` when the text ends inside it
   */
  form(): unknown {
    this.#skipBlank();
    const text = this.#text;
    const at = this.position;
    if (at >= text.length) throw incomplete;
    switch (text.charCodeAt(at)) {
      case 0x22: // "
        return this.#string();
      case 0x28: // (
        return this.#sequence(")");
      case 0x5b: // [
        return this.#sequence("]");
      case 0x7b: // {
        return this.#map();
      case 0x3a: // :
        this.position++;
        return this.#token("a keyword");
      case 0x5c: // \
        return this.#character();
      case 0x23: // #
        return this.#dispatch();
      case 0x5e: // ^ metadata: about the next form, not part of it
        this.position++;
        this.form();
        return this.form();
      case 0x29:
      case 0x5d:
      case 0x7d:
        throw new EdnSyntaxError(`"${text.charAt(at)}" closes nothing that is open`, at);
      default:
        return this.#atom();
    }
  }

  #skipBlank(): void {
    const text = this.#text;
    for (;;) {
      const code = text.charCodeAt(this.position);
      if (code === 0x20 || code === 0x2c || (code >= 0x09 && code <= 0x0d)) this.position++;
      else if (code === 0x3b) this.#skipComment();
      else if (code === 0x23 && text.charCodeAt(this.position + 1) === 0x5f) {
        // `#_` takes the next form away.
        this.position += 2;
        this.form();
      } else return;
    }
  }

  #skipComment(): void {
    const end = this.#text.indexOf("\n", this.position);
    if (end === -1 && !this.#final) throw incomplete;
    this.position = end === -1 ? this.#text.length : end + 1;
  }

  #sequence(close: string): unknown[] {
    const items: unknown[] = [];
    const openedAt = this.position++;
    this.#enter(openedAt);
    for (;;) {
      const next = this.peek();
      if (next === "") throw incomplete;
      if (next === close) {
        this.position++;
        this.#depth--;
        return items;
      }
      items.push(this.form());
    }
  }

  #map(): Record<string, unknown> {
    const openedAt = this.position;
    const items = this.#sequence("}");
    if (items.length % 2 === 1) throw new EdnSyntaxError("a map has a key without a value", openedAt);
    const map: Record<string, unknown> = {};
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i];
      const name = typeof key === "object" && key !== null ? JSON.stringify(key, bigintText) : String(key);
      if (name === "__proto__") Object.defineProperty(map, name, { value: items[i + 1], enumerable: true });
      else map[name] = items[i + 1];
    }
    return map;
  }

  #string(): string {
    const text = this.#text;
    const from = this.position + 1;
    for (let at = from; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === 0x22) {
        this.position = at + 1;
        return text.slice(from, at);
      }
      if (code === 0x5c) return this.#escapedString(from, at);
    }
    throw incomplete;
  }

  #escapedString(from: number, firstEscape: number): string {
    const text = this.#text;
    let out = text.slice(from, firstEscape);
    for (let at = firstEscape; at < text.length; at++) {
      const char = text.charAt(at);
      if (char === '"') {
        this.position = at + 1;
        return out;
      }
      if (char !== "\\") {
        out += char;
        continue;
      }
      const escaped = text.charAt(++at);
      if (escaped === "u") {
        const hex = text.slice(at + 1, at + 5);
        if (hex.length < 4) throw incomplete;
        if (!/^[0-9a-fA-F]{4}$/.test(hex)) throw new EdnSyntaxError(`"\\u${hex}" is no character`, at - 1);
        out += String.fromCharCode(Number.parseInt(hex, 16));
        at += 4;
      } else if (escaped !== "") {
        const plain = escapes[escaped];
        if (plain === undefined) throw new EdnSyntaxError(`"\\${escaped}" is no escape of a string`, at - 1);
        out += plain;
      }
    }
    throw incomplete;
  }

  #character(): string {
    const at = this.position;
    const first = this.#text.charAt(at + 1);
    if (first === "") throw incomplete;
    this.position += 2;
    const rest = isDelimiter(this.#text.charCodeAt(this.position)) ? "" : this.#token("a character");
    const name = first + rest;
    if (name.length === 1) return name;
    const code = /^u([0-9a-fA-F]{4})$/.exec(name)?.[1];
    const plain = code === undefined ? characterNames[name] : String.fromCharCode(Number.parseInt(code, 16));
    if (plain === undefined) throw new EdnSyntaxError(`"\\${name}" is no character`, at);
    return plain;
  }

  #dispatch(): unknown {
    const at = this.position;
    const next = this.#text.charAt(at + 1);
    if (next === "") throw incomplete;
    if (next === "{") {
      this.position++;
      return this.#sequence("}");
    }
    if (next === "#") {
      this.position += 2;
      const name = this.#token("a number such as ##Inf");
      const value = { Inf: Infinity, "-Inf": -Infinity, NaN: NaN }[name];
      if (value === undefined) throw new EdnSyntaxError(`"##${name}" is no number`, at);
      return value;
    }
    this.position++;
    this.#token("a tag");
    this.#enter(at);
    const value = this.form();
    this.#depth--;
    return value;
  }

  #atom(): unknown {
    const at = this.position;
    const first = this.#text.charCodeAt(at);
    const second = this.#text.charCodeAt(at + 1);
    const signed = first === 0x2d || first === 0x2b;
    const token = this.#token("a value");
    if (isDigit(first) || (signed && isDigit(second))) return number(token, at);
    if (token === "nil") return null;
    if (token === "true") return true;
    if (token === "false") return false;
    return token;
  }

  #token(what: string): string {
    const text = this.#text;
    const from = this.position;
    let at = from;
    while (at < text.length && !isDelimiter(text.charCodeAt(at))) at++;
    if (at === text.length && !this.#final) throw incomplete;
    if (at === from) {
      if (at === text.length) throw incomplete;
      throw new EdnSyntaxError(`expected ${what}, got ${JSON.stringify(text.charAt(at))}`, at);
    }
    this.position = at;
    return text.slice(from, at);
  }

  #enter(openedAt: number): void {
    if (++this.#depth > nestingMax)
      throw new EdnSyntaxError(`forms are nested more than ${nestingMax} deep`, openedAt);
  }
}

function number(token: string, at: number): number | bigint {
  if (/^[+-]?\d+N?$/.test(token)) {
    const digits = token.endsWith("N") ? token.slice(0, -1) : token;
    const value = Number(digits);
    return Number.isSafeInteger(value) ? value : BigInt(digits.startsWith("+") ? digits.slice(1) : digits);
  }
  if (/^[+-]?\d+(\.\d*)?([eE][+-]?\d+)?M?$/.test(token)) return Number.parseFloat(token);
  const [, numerator, denominator] = /^([+-]?\d+)\/(\d+)$/.exec(token) ?? [];
  if (numerator !== undefined && Number(denominator) !== 0) return Number(numerator) / Number(denominator);
  throw new EdnSyntaxError(`${JSON.stringify(token)} is no number`, at);
}

function bigintText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}` : value;
}

const escapes: Readonly<Record<string, string>> = {
  t: "\t",
  r: "\r",
  n: "\n",
  b: "\b",
  f: "\f",
  "\\": "\\",
  '"': '"',
  "/": "/",
};

const characterNames: Readonly<Record<string, string>> = {
  newline: "\n",
  return: "\r",
  space: " ",
  tab: "\t",
  backspace: "\b",
  formfeed: "\f",
};

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** Blank, comma, bracket, quote, semicolon, or the end of the text. */
function isDelimiter(code: number): boolean {
  if (code >= 0x61 && code <= 0x7a) return false;
  return (
    code <= 0x20 ||
    code === 0x2c ||
    code === 0x22 ||
    code === 0x28 ||
    code === 0x29 ||
    code === 0x5b ||
    code === 0x5d ||
    code === 0x7b ||
    code === 0x7d ||
    code === 0x3b ||
    Number.isNaN(code)
  );
}
