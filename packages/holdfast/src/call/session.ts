/**
 * What a client has seen of each database node: enough for a later read to refuse an older answer.
 *
 * A position is a write-ahead-log location with the timeline and the server it belongs to; a location from
 * before a failover means nothing without them. The session only moves forward.
 */
import { HoldfastError } from "./holdfast-error.ts";

export interface LogPosition {
  /** Postgres system identifier of the node's cluster: an unsigned 64-bit integer, in decimal. */
  readonly system: string;
  readonly timeline: number;
  /** Log sequence number as a 64-bit integer. */
  readonly lsn: bigint;
}

/** Longest encoded session: about 200 nodes, and half of what Node takes as headers in all. */
export const sessionCharsMax = 8192;

const format = 1;
const nodeBytesMax = 255;

export class Session {
  readonly #seen = new Map<string, LogPosition>();
  #encoded: string | undefined;

  get(node: string): LogPosition | undefined {
    return this.#seen.get(node);
  }

  /** Remembers `position` of `node` unless something later is known already. */
  raise(node: string, position: LogPosition): void {
    const known = this.#seen.get(node);
    if (known && !isLater(position, known)) return;
    this.#seen.set(node, position);
    this.#encoded = undefined;
  }

  /** Takes over everything that `other` has seen. */
  merge(other: Session): void {
    for (const [node, position] of other.entries()) this.raise(node, position);
  }

  /** Whether this session has seen everything that `other` has. */
  covers(other: Session): boolean {
    for (const [node, position] of other.entries()) {
      const known = this.#seen.get(node);
      if (!known || isLater(position, known)) return false;
    }
    return true;
  }

  entries(): IterableIterator<[string, LogPosition]> {
    return this.#seen.entries();
  }

  get size(): number {
    return this.#seen.size;
  }

  /**
   * As base64url: a format byte, then for each node its name's length and bytes, the system identifier (8
   * bytes), the timeline (4) and the location (8), all big-endian.
   *
   * @throws {HoldfastError} HOLDFAST_INPUT_INVALID when it has seen more nodes than a header carries. Leaving
   *   some out would silently take back the promise to read one's own writes.
   */
  encode(): string {
    if (this.#encoded !== undefined) return this.#encoded;
    const names = [...this.#seen.keys()].map((node) => Buffer.from(node));
    const bytes = Buffer.alloc(1 + names.reduce((sum, name) => sum + 21 + name.length, 0));
    let at = bytes.writeUInt8(format, 0);
    let index = 0;
    for (const [node, { system, timeline, lsn }] of this.#seen) {
      const name = names[index++] as Buffer;
      if (name.length > nodeBytesMax) throw tooLarge(`the name of node ${JSON.stringify(node)} is too long`);
      at = bytes.writeUInt8(name.length, at);
      at += name.copy(bytes, at);
      at = bytes.writeBigUInt64BE(BigInt(system), at);
      at = bytes.writeUInt32BE(timeline, at);
      at = bytes.writeBigUInt64BE(lsn, at);
    }
    const text = bytes.toString("base64url");
    if (text.length > sessionCharsMax) throw tooLarge(`it has seen ${this.#seen.size} nodes`);
    this.#encoded = text;
    return text;
  }

  /** `undefined` when `text` is no session: wrong alphabet, format, length or size. */
  static decode(text: string): Session | undefined {
    if (text.length > sessionCharsMax || !/^[A-Za-z0-9_-]+$/.test(text)) return undefined;
    const bytes = Buffer.from(text, "base64url");
    if (bytes[0] !== format) return undefined;
    const session = new Session();
    let at = 1;
    while (at < bytes.length) {
      const nameEnd = at + 1 + (bytes[at] as number);
      if (nameEnd === at + 1 || nameEnd + 20 > bytes.length) return undefined;
      session.#seen.set(bytes.toString("utf8", at + 1, nameEnd), {
        system: bytes.readBigUInt64BE(nameEnd).toString(),
        timeline: bytes.readUInt32BE(nameEnd + 8),
        lsn: bytes.readBigUInt64BE(nameEnd + 12),
      });
      at = nameEnd + 20;
    }
    return session;
  }
}

function isLater(a: LogPosition, b: LogPosition): boolean {
  if (a.system !== b.system) return true; // another cluster under the same name: the newer word counts
  return a.timeline > b.timeline || (a.timeline === b.timeline && a.lsn > b.lsn);
}

function tooLarge(why: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `The session does not fit into a header: ${why}. Give work that need not read its own writes a session of its own.`,
    { data: { field: "session", charsMax: sessionCharsMax } },
  );
}
