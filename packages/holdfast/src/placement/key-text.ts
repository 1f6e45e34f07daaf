/**
 * A key of several parts as one text: netstrings, `8:tenant-7,2:42,`. No two lists of parts have the same text,
 * whatever characters they have, so that ("a", "bc") and ("ab", "c") are two keys. A key of one part is itself.
 *
 * It is part of the data, as the hash is: changing it would move every row. `holdfast.key_text` is its twin in SQL.
 *
 * @see D. J. Bernstein, "Netstrings", 1997; lengths are in bytes
 */
export function keyText(parts: readonly string[]): string {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  let text = "";
  for (const part of parts) text += `${Buffer.byteLength(part)}:${part},`;
  return text;
}
