/**
 * The name of a prepared transaction (its gid): says which cross-shard transaction it is a part of, and on which
 * node the decision about that one is, so that any process can finish what another has left.
 *
 *   holdfast:0197f1c2-…:1/2:node-1       participant 1 of 2, decided on node-1
 *
 * One for each participant, because Postgres keeps gids for a whole server, and two nodes may share one.
 */

export interface GlobalId {
  /** UUID of the attempt: its marker, and its decision. */
  readonly id: string;
  /** Of the participants that prepare, from 1. */
  readonly number: number;
  readonly participants: number;
  /** Name of the node that has the decision. */
  readonly coordinator: string;
}

/** Postgres refuses longer ones. */
export const gidBytesMax = 199;

/** Longest of what stands before the coordinator's name. */
const headBytesMax = "holdfast:".length + 36 + ":1024/1024:".length;

const shape = /^holdfast:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([1-9]\d{0,3})\/([1-9]\d{0,3}):(.+)$/;

/** Only characters that mean nothing to SQL, whatever the node is called. */
export function formatGid({ id, number, participants, coordinator }: GlobalId): string {
  return `holdfast:${id}:${number}/${participants}:${nameInGid(coordinator)}`;
}

/** @returns `undefined` for what is not Holdfast's: that is never touched */
export function parseGid(gid: string): GlobalId | undefined {
  const [, id, number, participants, name] = shape.exec(gid) ?? [];
  if (id === undefined || name === undefined) return undefined;
  let coordinator: string;
  try {
    coordinator = decodeURIComponent(name);
  } catch {
    return undefined;
  }
  const parsed = { id, number: Number(number), participants: Number(participants), coordinator };
  // Only what this room would have written itself.
  return formatGid(parsed) === gid && parsed.number <= parsed.participants ? parsed : undefined;
}

/** Whether a node of this name can be the coordinator. */
export function fitsGid(node: string): boolean {
  return headBytesMax + nameInGid(node).length <= gidBytesMax;
}

/** The advisory lock that the coordinator's transaction holds from its begin to its end. */
export function lockOfId(id: string): string {
  return BigInt.asIntN(64, BigInt(`0x${id.replaceAll("-", "").slice(16)}`)).toString();
}

function nameInGid(node: string): string {
  return encodeURIComponent(node).replace(
    /['!()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
