/** Numbers and texts: whether the writer's bounds lie within the reader's. */
import { type Finding, incompatible, undecided } from "./finding.ts";
import type { Bound, Shape } from "./shape.ts";

export function numberFindings(writer: Shape, reader: Shape, path: string): Finding[] {
  const findings: Finding[] = [];
  const whole = !writer.types.has("fraction");
  const minimum = whole ? wholeBound(writer.minimum, 1) : writer.minimum;
  const maximum = whole ? wholeBound(writer.maximum, -1) : writer.maximum;
  if (reader.minimum && !within(minimum, reader.minimum, (a, b) => a > b)) {
    findings.push(bound(path, "numbers from", writer.minimum, "from", reader.minimum));
  }
  if (reader.maximum && !within(maximum, reader.maximum, (a, b) => a < b)) {
    findings.push(bound(path, "numbers up to", writer.maximum, "up to", reader.maximum));
  }
  for (const step of reader.multiplesOf) {
    if (step === 1 && !writer.types.has("fraction")) continue;
    if (writer.multiplesOf.some((own) => own === step || (isWhole(own) && isWhole(step) && own % step === 0)))
      continue;
    const make = writer.multiplesOf.length > 0 ? undecided : incompatible;
    findings.push(
      make(
        path,
        "bound",
        `numbers are written that need not be multiples of ${step}, and only those can be read`,
      ),
    );
  }
  return findings;
}

function isWhole(value: number): boolean {
  return Number.isSafeInteger(value);
}

/** More than 0 means 1 or more, where only whole numbers are written. */
function wholeBound(bound: Bound | undefined, inwards: 1 | -1): Bound | undefined {
  if (!bound) return undefined;
  const rounded = inwards === 1 ? Math.ceil(bound.value) : Math.floor(bound.value);
  const value = bound.exclusive && rounded === bound.value ? rounded + inwards : rounded;
  return { value, exclusive: false };
}

function within(own: Bound | undefined, limit: Bound, inside: (a: number, b: number) => boolean): boolean {
  if (!own) return false;
  return inside(own.value, limit.value) || (own.value === limit.value && (own.exclusive || !limit.exclusive));
}

function bound(path: string, what: string, own: Bound | undefined, how: string, limit: Bound): Finding {
  const written = own ? `${what} ${own.value} are written` : "any number is written";
  return incompatible(
    path,
    "bound",
    `${written}, and only those ${how} ${limit.exclusive ? "beyond " : ""}${limit.value} can be read`,
  );
}

export function stringFindings(writer: Shape, reader: Shape, path: string): Finding[] {
  const findings: Finding[] = [];
  if (writer.minLength < reader.minLength) {
    findings.push(
      incompatible(
        path,
        "bound",
        `texts from ${writer.minLength} characters are written, and only those from ${reader.minLength} can be read`,
      ),
    );
  }
  if (writer.maxLength > reader.maxLength) {
    const written =
      writer.maxLength === Number.POSITIVE_INFINITY
        ? "texts of any length"
        : `texts up to ${writer.maxLength} characters`;
    findings.push(
      incompatible(
        path,
        "bound",
        `${written} are written, and only those up to ${reader.maxLength} characters can be read`,
      ),
    );
  }
  for (const format of reader.formats) {
    if (writer.formats.has(format)) continue;
    const free = writer.formats.size === 0 && writer.patterns.size === 0;
    findings.push(
      free
        ? incompatible(path, "text", `any text is written, and only format "${format}" can be read`)
        : undecided(
            path,
            "text",
            `whether every text that is written has format "${format}" cannot be told from the schemas`,
          ),
    );
  }
  for (const pattern of reader.patterns) {
    if (writer.patterns.has(pattern)) continue;
    findings.push(
      undecided(
        path,
        "text",
        `whether every text that is written matches ${pattern} cannot be told from the schemas`,
      ),
    );
  }
  return findings;
}
