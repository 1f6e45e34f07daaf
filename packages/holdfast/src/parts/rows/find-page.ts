/** A page of documents from all shards: each gives its first, and the first of those are the page. */
import type { DocumentRow, DocumentStatements } from "./document-statements.ts";
import { refuseInput, wholeProblems } from "./input-error.ts";
import { jsonText } from "./json-text.ts";
import { type KeyedTable, keyBytesMax, type ReadHow } from "./keyed-table.ts";

export interface FindOptions extends ReadHow {
  /** Documents of a page, 1 to 1_000. Default 100. */
  readonly limit?: number;
  /** Where the page before ended: its `next`. */
  readonly after?: string;
}

export interface Page<Doc> {
  readonly rows: readonly DocumentRow<Doc>[];
  /** For the next page's `after`; `undefined` when this was the last. */
  readonly next: string | undefined;
}

export const findDefaults = { limit: 100 } as const;
/** What is looked for is an index lookup, no document. */
const matchBytesMax = 65_536;

export async function findPage<Doc>(
  rows: KeyedTable,
  statements: DocumentStatements<Doc>,
  match: unknown,
  { limit = findDefaults.limit, after, ...how }: FindOptions,
): Promise<Page<Doc>> {
  refuseInput(rows.what, [
    ...wholeProblems("limit", limit, 1, 1_000),
    ...(after === undefined ||
    (typeof after === "string" && Buffer.byteLength(after) <= keyBytesMax && !after.includes("\0"))
      ? []
      : ["after should be the `next` of the page before"]),
  ]);
  const json = jsonText({ what: `${rows.what}, match`, bytesMax: matchBytesMax }, match);
  // One more than asked for tells whether there is a next page.
  const found = await rows.readAll(how, (db) => statements.containing(db, json, after, limit + 1));
  return pageOf(found, limit);
}

/** Pure. @param found what each shard has, at least `limit + 1` of each that has so many */
export function pageOf<Doc>(found: readonly DocumentRow<Doc>[], limit: number): Page<Doc> {
  // By the bytes of UTF-8, as the server sorts: JavaScript's own order differs beyond the basic plane.
  const sorted = found
    .map((row) => ({ row, bytes: Buffer.from(row.key) }))
    .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
    .map(({ row }) => row);
  const rows = sorted.slice(0, limit);
  return { rows, next: sorted.length > limit ? rows.at(-1)?.key : undefined };
}
