/**
 * Reading what Postgres' own plugin `pgoutput` writes of its log: bytes to messages, and nothing else.
 *
 * Protocol version 1: transactions come whole, one after another, in the order of their commits; a prepared one at its
 * COMMIT PREPARED. The server keeps what is not committed on its own disk. Values stay the text that the server wrote,
 * because what a column's text means is decided where its type is known (`column-json.ts`).
 *
 * A decoder of our own: those on npm come with a connection that acknowledges by a timer and parse values on the way;
 * here nothing may be acknowledged before it is stored, and the reader is paused by what is not stored yet.
 *
 * @see PostgreSQL documentation, "Logical Replication Message Formats" and "Streaming Replication Protocol"
 */

/** A row as it was sent. `null` is NULL; `undefined` a large value that was stored apart and not touched. */
export type TupleText = readonly (string | null | undefined)[];

export interface RelationColumn {
  readonly name: string;
  readonly typeOid: number;
  /** Whether it belongs to the replica identity. */
  readonly identity: boolean;
}

export interface RelationMessage {
  readonly kind: "relation";
  readonly oid: number;
  readonly schema: string;
  readonly table: string;
  /** `d` its primary key, `i` an index, `f` the full row, `n` nothing. */
  readonly replicaIdentity: string;
  readonly columns: readonly RelationColumn[];
}

export type PgoutputMessage =
  /** `commitLsn` is where its commit record begins. */
  | { readonly kind: "begin"; readonly commitLsn: bigint; readonly atMs: number; readonly xid: number }
  /** `endLsn` is behind its commit record: where the next may begin. */
  | { readonly kind: "commit"; readonly commitLsn: bigint; readonly endLsn: bigint }
  /** The transaction was brought by a subscription, from elsewhere. */
  | { readonly kind: "origin"; readonly name: string }
  | RelationMessage
  | { readonly kind: "type"; readonly oid: number }
  | { readonly kind: "insert"; readonly oid: number; readonly after: TupleText }
  | {
      readonly kind: "update";
      readonly oid: number;
      /** `K`: the old key only, because it has changed. `O`: the whole old row. */
      readonly before: { readonly of: "K" | "O"; readonly tuple: TupleText } | undefined;
      readonly after: TupleText;
    }
  | {
      readonly kind: "delete";
      readonly oid: number;
      readonly before: { readonly of: "K" | "O"; readonly tuple: TupleText };
    }
  | { readonly kind: "truncate"; readonly oids: readonly number[] };

export type StreamMessage =
  | { readonly kind: "data"; readonly message: PgoutputMessage; readonly bytes: number }
  /** Everything that was committed before `lsn` has been sent. */
  | { readonly kind: "keepalive"; readonly lsn: bigint; readonly reply: boolean };

/** One message of the replication stream, as it is in a CopyData. @throws {RangeError} for what is none */
export function readStreamMessage(bytes: Buffer): StreamMessage {
  const reader = new ByteReader(bytes);
  const kind = reader.char();
  if (kind === "k") {
    const lsn = reader.int64();
    reader.int64(); // the server's clock
    return { kind: "keepalive", lsn, reply: reader.int8() === 1 };
  }
  if (kind !== "w") throw new RangeError(`a replication stream has no message "${kind}"`);
  // Where the record is, where the log ends, and the server's clock.
  reader.skip(24);
  return { kind: "data", message: readMessage(reader), bytes: bytes.length };
}

/** @throws {RangeError} for what is no message of protocol version 1 */
export function readPgoutput(bytes: Buffer): PgoutputMessage {
  return readMessage(new ByteReader(bytes));
}

function readMessage(reader: ByteReader): PgoutputMessage {
  const kind = reader.char();
  switch (kind) {
    case "B":
      return { kind: "begin", commitLsn: reader.int64(), atMs: reader.timeMs(), xid: reader.uint32() };
    case "C":
      reader.int8();
      return { kind: "commit", commitLsn: reader.int64(), endLsn: reader.int64() };
    case "O":
      reader.int64();
      return { kind: "origin", name: reader.text() };
    case "R":
      return readRelation(reader);
    case "Y":
      return { kind: "type", oid: reader.uint32() };
    case "I": {
      const oid = reader.uint32();
      reader.expect("N");
      return { kind: "insert", oid, after: reader.tuple() };
    }
    case "U": {
      const oid = reader.uint32();
      const of = reader.char();
      if (of === "N") return { kind: "update", oid, before: undefined, after: reader.tuple() };
      const before = { of: oldKind(of), tuple: reader.tuple() };
      reader.expect("N");
      return { kind: "update", oid, before, after: reader.tuple() };
    }
    case "D": {
      const oid = reader.uint32();
      return { kind: "delete", oid, before: { of: oldKind(reader.char()), tuple: reader.tuple() } };
    }
    case "T": {
      const count = reader.uint32();
      reader.int8();
      return { kind: "truncate", oids: Array.from({ length: count }, () => reader.uint32()) };
    }
    default:
      throw new RangeError(`pgoutput has no message "${kind}" in protocol version 1`);
  }
}

function oldKind(of: string): "K" | "O" {
  if (of === "K" || of === "O") return of;
  throw new RangeError(`an old row is told as K or O, got "${of}"`);
}

function readRelation(reader: ByteReader): RelationMessage {
  const oid = reader.uint32();
  // pg_catalog is told as an empty name.
  const schema = reader.text() || "pg_catalog";
  const table = reader.text();
  const replicaIdentity = reader.char();
  const columns = Array.from({ length: reader.int16() }, () => {
    const identity = (reader.int8() & 1) === 1;
    const name = reader.text();
    const typeOid = reader.uint32();
    reader.skip(4); // the type's modifier
    return { name, typeOid, identity };
  });
  return { kind: "relation", oid, schema, table, replicaIdentity, columns };
}

/** 2000-01-01, from which Postgres counts microseconds. */
const postgresEpochMs = 946_684_800_000;

class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  skip(count: number): void {
    this.#at += count;
  }

  int8(): number {
    return this.#bytes.readUInt8(this.#at++);
  }

  char(): string {
    return String.fromCharCode(this.int8());
  }

  expect(wanted: string): void {
    const got = this.char();
    if (got !== wanted) throw new RangeError(`expected "${wanted}" in a message of pgoutput, got "${got}"`);
  }

  int16(): number {
    this.#at += 2;
    return this.#bytes.readInt16BE(this.#at - 2);
  }

  uint32(): number {
    this.#at += 4;
    return this.#bytes.readUInt32BE(this.#at - 4);
  }

  int64(): bigint {
    this.#at += 8;
    return this.#bytes.readBigUInt64BE(this.#at - 8);
  }

  timeMs(): number {
    this.#at += 8;
    return postgresEpochMs + Number(this.#bytes.readBigInt64BE(this.#at - 8)) / 1_000;
  }

  /** Ends with a zero byte. */
  text(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end === -1) throw new RangeError("a name in a message of pgoutput has no end");
    const text = this.#bytes.toString("utf8", this.#at, end);
    this.#at = end + 1;
    return text;
  }

  tuple(): TupleText {
    return Array.from({ length: this.int16() }, () => this.#value());
  }

  #value(): string | null | undefined {
    const kind = this.char();
    if (kind === "n") return null;
    if (kind === "u") return undefined;
    if (kind !== "t") throw new RangeError(`a value is told as text, got "${kind}"`);
    const length = this.uint32();
    const from = this.#at;
    if (from + length > this.#bytes.length)
      throw new RangeError("a value in a message of pgoutput is cut off");
    this.#at += length;
    return this.#bytes.toString("utf8", from, from + length);
  }
}
