/**
 * Text in the order of its UTF-8 bytes, as Postgres compares it under collation "C". JavaScript compares UTF-16
 * units, which puts the characters of surrogate pairs (beyond U+FFFF) before U+E000 to U+FFFF.
 */

/** @returns below 0 when `a` comes first, above 0 when `b` does, 0 when they are the same text */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
