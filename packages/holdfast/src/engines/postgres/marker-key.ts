/**
 * Idempotency keys: the marker row also keeps the key of a write, what the request was, and what it answered.
 *
 * Writes with one key on one shard take turns by an advisory lock of the key; the one that comes second finds
 * the first one's row and answers from it. The unique index says the same within a day's partition.
 */
import { HoldfastError } from "../../call/index.ts";
import { type Marker, markerTable } from "./marker.ts";
import type { PgSession } from "./session.ts";

/** Largest result that is kept, as JSON, in bytes. */
export const resultBytesMax = 256 << 10;
export const keyLengthMax = 255;

export interface KeyedRequest {
  readonly shard: number;
  readonly key: string;
  readonly fingerprint: string | undefined;
}

/** The answer of the write that had this key before. `value` went through JSON. */
export interface Remembered {
  readonly value: unknown;
}

export function checkKey(key: string): void {
  if (key.length >= 1 && key.length <= keyLengthMax && !key.includes("\0")) return;
  throw new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `An idempotency key has 1 to ${keyLengthMax} characters, got ${key.length}.`,
    { data: { field: "idempotencyKey" } },
  );
}

/**
 * Waits for whoever has the key before a transaction begins whose snapshot has to be newer than that. The session's
 * own lock is passed on to the transaction's, which `claimKey` takes.
 */
export async function keyTurn(session: PgSession, { key, shard }: KeyedRequest) {
  const values = [key, shard];
  await session.send({
    text: "select pg_advisory_lock(hashtextextended($1, $2))",
    values,
    prepare: true,
  });
  return {
    /** To be called once the transaction's statement that takes the lock was sent. */
    passOn(): void {
      const text = "select pg_advisory_unlock(hashtextextended($1, $2))";
      // In a failed transaction the server refuses to; then the lock ends with the session.
      session.push({ text, values, prepare: true }).catch(() => session.taint());
    },
  };
}

/**
 * Waits for whoever has the key, and looks it up.
 *
 * @throws {HoldfastError} HOLDFAST_IDEMPOTENCY_MISMATCH when the key came with another fingerprint
 */
export async function claimKey(session: PgSession, request: KeyedRequest): Promise<Remembered | undefined> {
  const locked = session.push({
    text: "select pg_advisory_xact_lock(hashtextextended($1, $2))",
    values: [request.key, request.shard],
    prepare: true,
  });
  const found = session.push({
    text: `select fingerprint, result, result is not null as kept from holdfast.marker
      where slot in (0, 1, 2) and shard = $1 and idempotency_key = $2 order by created_at desc limit 1`,
    values: [request.shard, request.key],
    prepare: true,
  });
  await locked;
  const row = (await found).rows[0] as KeyRow | undefined;
  if (!row) return undefined;
  if (row.fingerprint !== (request.fingerprint ?? null)) {
    throw new HoldfastError(
      "HOLDFAST_IDEMPOTENCY_MISMATCH",
      "This idempotency key came with another request before. Use a new key for a new request.",
      { data: { key: request.key } },
    );
  }
  return { value: row.kept ? row.result : undefined };
}

interface KeyRow {
  readonly fingerprint: string | null;
  readonly result: unknown;
  /** Whether there is a result: JSON's null is one, `undefined` is none. */
  readonly kept: boolean;
}

/** What is kept of `value`: its JSON, or `undefined` for nothing. @throws HOLDFAST_IDEMPOTENCY_RESULT */
export function resultJson(value: unknown): string | undefined {
  let json: string | undefined;
  try {
    json = JSON.stringify(value);
  } catch (cause) {
    throw new HoldfastError(
      "HOLDFAST_IDEMPOTENCY_RESULT",
      "The result of a write with an idempotency key is kept as JSON, and this one is not JSON. Answer 64-bit integers as strings, and nothing that refers to itself.",
      { cause },
    );
  }
  const bytes = json === undefined ? 0 : Buffer.byteLength(json);
  if (bytes > resultBytesMax) {
    throw new HoldfastError(
      "HOLDFAST_IDEMPOTENCY_RESULT",
      `The result of a write with an idempotency key is kept, and this one has ${bytes} bytes; ${resultBytesMax} is the most. Answer an id instead of the whole.`,
      { data: { bytes, bytesMax: resultBytesMax } },
    );
  }
  return json;
}

/** Sends the row that remembers the write; it commits with it. @returns its answer, which COMMIT's depends on */
export function rememberKey(
  session: PgSession,
  marker: Marker,
  request: KeyedRequest,
  json: string | undefined,
): Promise<unknown> {
  return session.push({
    text: `insert into ${markerTable(marker.slot)} (id, shard, idempotency_key, fingerprint, result) values ($1, $2, $3, $4, $5)`,
    values: [marker.id, request.shard, request.key, request.fingerprint ?? null, json ?? null],
    prepare: true,
  });
}
