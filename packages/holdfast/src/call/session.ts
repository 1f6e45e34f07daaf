/**
 * What a client knows of each database node: enough for a later read to refuse an older answer.
 *
 * Four things are kept apart, because read levels differ in which of them they honour: what the client wrote,
 * what it read, what it heard of in a message, and what the framework wants its reads to see. Each is a position
 * in a node's write-ahead log, with the timeline and the server it belongs to; a location from before a failover
 * means nothing without them. Each only moves forward.
 */
import { HoldfastError } from "./holdfast-error.ts";

export interface LogPosition {
  /** Postgres system identifier of the node's cluster: an unsigned 64-bit integer, in decimal. */
  readonly system: string;
  readonly timeline: number;
  /** Log sequence number as a 64-bit integer. */
  readonly lsn: bigint;
}

/**
 * How a session came to know a position.
 *
 * - `written`: the end of its last own write.
 * - `read`: how far the server was that answered its reads; the furthest of them.
 * - `heard`: what the publisher of a message knew when it published.
 * - `wanted`: what reads on its behalf should see for a reason of the framework's, such as a cache's
 *   invalidation. It never leaves the process, and that it is lost is nobody's loss.
 */
export type Knowledge = "written" | "read" | "heard" | "wanted";

/** What a session knows of one node. */
export type NodeKnowledge = { readonly [how in Knowledge]?: LogPosition };

/** Longest encoded session: about 90 nodes with all that can be known of them, and half of what Node takes as headers. */
export const sessionCharsMax = 8192;

/** Format 1 had one position a node; it is still read, and counts as written and read. */
const formats = { one: 1, each: 2 } as const;
/** What travels, in the order of the bits of a node's mask. */
const travels = ["written", "read", "heard"] as const satisfies readonly Knowledge[];
const readIsWritten = 1 << travels.length;
const nodeBytesMax = 255;
const positionBytes = 20;

export class Session {
  readonly #nodes = new Map<string, NodeKnowledge>();
  readonly #primaryOf = new Set<string>();
  #encoded: string | undefined;

  get(node: string): NodeKnowledge | undefined {
    return this.#nodes.get(node);
  }

  /** Remembers `position` of `node` unless something later is known already. */
  raise(node: string, position: LogPosition, how: Knowledge = "read"): void {
    const known = this.#nodes.get(node);
    const before = known?.[how];
    if (before && !isLater(position, before)) return;
    this.#set(node, { ...known, [how]: position });
  }

  /**
   * Has reads of `node` answered by its primary, unless any age will do: for when it is not known how far a replica
   * would have to be. Never leaves the process.
   */
  requirePrimary(node: string): void {
    this.#primaryOf.add(node);
  }

  requiresPrimary(node: string): boolean {
    return this.#primaryOf.has(node);
  }

  /** Takes over everything that `other` knows, as what it is there. */
  merge(other: Session): void {
    for (const [node, known] of other.entries()) {
      for (const [how, position] of positionsOf(known)) this.raise(node, position, how);
    }
  }

  /** Takes over everything that `other` knows as hearsay: of the publisher of a message. */
  hear(other: Session): void {
    this.#mergeAs(other, "heard");
  }

  /** Wants everything that `other` knows to be seen by its reads. */
  want(other: Session): void {
    this.#mergeAs(other, "wanted");
  }

  /** Whether this session knows everything that `other` does, no matter how. */
  covers(other: Session): boolean {
    for (const [node, asked] of other.entries()) {
      const known = positionsOf(this.#nodes.get(node) ?? {});
      const covered = ([, position]: [Knowledge, LogPosition]) =>
        known.some(([, own]) => !isLater(position, own));
      if (!positionsOf(asked).every(covered)) return false;
    }
    return true;
  }

  /** Keeps of `node` only what `keep` says yes to: the rest belongs to a history that is no more. */
  prune(node: string, keep: (position: LogPosition, how: Knowledge) => boolean): void {
    const known = this.#nodes.get(node);
    if (!known) return;
    const kept = positionsOf(known).filter(([how, position]) => keep(position, how));
    if (kept.length > 0) this.#set(node, Object.fromEntries(kept));
    else this.#nodes.delete(node);
    this.#encoded = undefined;
  }

  entries(): IterableIterator<[string, NodeKnowledge]> {
    return this.#nodes.entries();
  }

  /** Nodes that something is known of. */
  get size(): number {
    return this.#nodes.size;
  }

  /**
   * As base64url: a format byte, then for each node its name's length and bytes, a mask of what is known, and for
   * each of that the system identifier (8 bytes), the timeline (4) and the location (8), all big-endian. Empty
   * when nothing is known that travels.
   *
   * @throws {HoldfastError} HOLDFAST_INPUT_INVALID when it knows more nodes than a header carries. Leaving some
   *   out would silently take back the promise to read one's own writes.
   */
  encode(): string {
    if (this.#encoded !== undefined) return this.#encoded;
    const chunks: Buffer[] = [];
    for (const [node, known] of this.#nodes) {
      const chunk = encodeNode(node, known);
      if (chunk) chunks.push(chunk);
    }
    const bytes = chunks.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.of(formats.each), ...chunks]);
    const text = bytes.toString("base64url");
    if (text.length > sessionCharsMax) throw tooLarge(`it knows ${this.#nodes.size} nodes`);
    this.#encoded = text;
    return text;
  }

  /** `undefined` when `text` is no session: wrong alphabet, format, length or size. */
  static decode(text: string): Session | undefined {
    if (text.length > sessionCharsMax || !/^[A-Za-z0-9_-]+$/.test(text)) return undefined;
    const bytes = Buffer.from(text, "base64url");
    const format = bytes[0];
    if (format !== formats.one && format !== formats.each) return undefined;
    const session = new Session();
    let at = 1;
    while (at < bytes.length) {
      const nameEnd = at + 1 + (bytes[at] as number);
      if (nameEnd === at + 1 || nameEnd >= bytes.length) return undefined;
      const node = bytes.toString("utf8", at + 1, nameEnd);
      const decoded = format === formats.one ? decodeOne(bytes, nameEnd) : decodeEach(bytes, nameEnd);
      if (!decoded) return undefined;
      session.#nodes.set(node, decoded.known);
      at = decoded.end;
    }
    return session;
  }

  #set(node: string, known: NodeKnowledge): void {
    this.#nodes.set(node, known);
    this.#encoded = undefined;
  }

  #mergeAs(other: Session, how: Knowledge): void {
    for (const [node, known] of other.entries()) {
      for (const [, position] of positionsOf(known)) this.raise(node, position, how);
    }
  }
}

/** What is known, as a list. */
export function positionsOf(known: NodeKnowledge): [Knowledge, LogPosition][] {
  return Object.entries(known) as [Knowledge, LogPosition][];
}

function isLater(a: LogPosition, b: LogPosition): boolean {
  if (a.system !== b.system) return true; // another cluster under the same name: the newer word counts
  return a.timeline > b.timeline || (a.timeline === b.timeline && a.lsn > b.lsn);
}

function isSame(a: LogPosition | undefined, b: LogPosition | undefined): boolean {
  return a?.system === b?.system && a?.timeline === b?.timeline && a?.lsn === b?.lsn;
}

function encodeNode(node: string, known: NodeKnowledge): Buffer | undefined {
  const name = Buffer.from(node);
  if (name.length > nodeBytesMax) throw tooLarge(`the name of node ${JSON.stringify(node)} is too long`);
  const positions: LogPosition[] = [];
  let mask = 0;
  for (const [bit, how] of travels.entries()) {
    const position = known[how];
    if (!position) continue;
    if (how === "read" && isSame(position, known.written)) {
      mask |= readIsWritten;
      continue;
    }
    mask |= 1 << bit;
    positions.push(position);
  }
  if (positions.length === 0) return undefined;
  const bytes = Buffer.alloc(2 + name.length + positions.length * positionBytes);
  let at = bytes.writeUInt8(name.length, 0);
  at += name.copy(bytes, at);
  at = bytes.writeUInt8(mask, at);
  for (const { system, timeline, lsn } of positions) {
    at = bytes.writeBigUInt64BE(BigInt(system), at);
    at = bytes.writeUInt32BE(timeline, at);
    at = bytes.writeBigUInt64BE(lsn, at);
  }
  return bytes;
}

interface Decoded {
  readonly known: NodeKnowledge;
  readonly end: number;
}

function decodeOne(bytes: Buffer, at: number): Decoded | undefined {
  const end = at + positionBytes;
  if (end > bytes.length) return undefined;
  const position = readPosition(bytes, at);
  return { known: { written: position, read: position }, end };
}

function decodeEach(bytes: Buffer, at: number): Decoded | undefined {
  const mask = bytes[at] as number;
  const known: { -readonly [how in Knowledge]?: LogPosition } = {};
  let end = at + 1;
  for (const [bit, how] of travels.entries()) {
    if ((mask & (1 << bit)) === 0) continue;
    if (end + positionBytes > bytes.length) return undefined;
    known[how] = readPosition(bytes, end);
    end += positionBytes;
  }
  if ((mask & readIsWritten) !== 0) {
    if (!known.written || known.read) return undefined;
    known.read = known.written;
  }
  return end === at + 1 || mask >= readIsWritten << 1 ? undefined : { known, end };
}

function readPosition(bytes: Buffer, at: number): LogPosition {
  return {
    system: bytes.readBigUInt64BE(at).toString(),
    timeline: bytes.readUInt32BE(at + 8),
    lsn: bytes.readBigUInt64BE(at + 12),
  };
}

function tooLarge(why: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `The session does not fit into a header: ${why}. Give work that need not read its own writes a session of its own.`,
    { data: { field: "session", charsMax: sessionCharsMax } },
  );
}
