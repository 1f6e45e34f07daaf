/**
 * The cursor of a listing: where the last page ended, as an opaque text that the client hands back.
 *
 * It names the last link by time and code, so a page begins right after it whatever was added meanwhile, and
 * it holds the tag that was asked for, because it means nothing in another listing.
 */
export interface Cursor {
  readonly createdAtMs: number;
  readonly code: string;
  readonly tag: string | undefined;
}

export function encodeCursor(cursor: Cursor): string {
  return Buffer.from(JSON.stringify([cursor.createdAtMs, cursor.code, cursor.tag ?? null])).toString(
    "base64url",
  );
}

/** @returns undefined when `text` is no cursor that `encodeCursor` made */
export function decodeCursor(text: string): Cursor | undefined {
  if (text.length > 512 || !/^[A-Za-z0-9_-]+$/.test(text)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text, "base64url").toString());
  } catch {
    return undefined;
  }
  if (!Array.isArray(value) || value.length !== 3) return undefined;
  const [createdAtMs, code, tag] = value as unknown[];
  if (!Number.isSafeInteger(createdAtMs) || (createdAtMs as number) < 0) return undefined;
  if (typeof code !== "string" || !/^[A-Za-z0-9_-]{3,64}$/.test(code)) return undefined;
  if (tag !== null && typeof tag !== "string") return undefined;
  const cursor: Cursor = { createdAtMs: createdAtMs as number, code, tag: tag ?? undefined };
  return encodeCursor(cursor) === text ? cursor : undefined;
}
