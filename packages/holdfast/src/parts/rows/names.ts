/**
 * Names of tables and columns that reach SQL. The query builder quotes them; but it also reads dots and ` as ` in
 * them, so only plain names are let through.
 */
const plain = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;

/** @returns what is wrong with `name`, beginning with `field` */
export function nameProblems(field: string, name: unknown): string[] {
  if (typeof name === "string" && plain.test(name)) return [];
  return [
    `${field} should be a plain name of 1 to 63 letters, digits and _, not beginning with a digit, got ${clip(name)}`,
  ];
}

function clip(value: unknown): string {
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length <= 80 ? text : `${text.slice(0, 80)}…`;
}
