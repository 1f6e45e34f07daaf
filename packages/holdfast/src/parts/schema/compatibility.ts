/**
 * Whether the versions of a message are compatible as declared: which pairs have to be compared, and what to tell of
 * what is found. Pure, over plain data.
 *
 * A pair is a writer's version and a reader's. What a reader has to take is the writer's output. An upgrade stands in
 * for compatibility at its step: a message is upgraded there and is then one of that version (see `read-message.ts`,
 * which goes the same way).
 */
import type { Finding } from "./finding.ts";
import { fits } from "./fits.ts";
import { sameJson } from "./json-schema.ts";
import type { Compatibility, DescribedVersion, DescribedVersions } from "./versions.ts";

/** A direction in which two versions have to be compatible. */
export interface VersionPair {
  readonly writer: number;
  readonly reader: number;
}

export interface VersionFinding extends Finding, VersionPair {
  /** The whole of it for people, with what to do. */
  readonly message: string;
}

/** A version that was registered before, as it was then. */
export type KeptVersion = Pick<DescribedVersion, "version" | "input" | "output" | "fingerprint">;

/**
 * @param kept versions that were registered or committed before. Those that the code does not declare any more are
 *   compared as they were.
 * @returns what keeps the versions from being compatible as declared, oldest pairs first
 */
export function compatibilityFindings(
  { compatibility, versions }: DescribedVersions,
  kept: readonly KeptVersion[] = [],
): VersionFinding[] {
  const numbers = new Set(versions.map(({ version }) => version));
  const old = kept.filter(({ version }) => !numbers.has(version));
  const all = [...old.map((one) => ({ ...one, upgrades: false, accept: [] })), ...versions].sort(
    (a, b) => a.version - b.version,
  );
  const newest = Math.max(...numbers);
  return pairsToCompare(compatibility, all, newest).flatMap((pair) => pairFindings(all, pair, newest));
}

/** Versions that are declared otherwise than they were registered; by meaning, not by the words of a library. */
export function changedVersions(
  { versions }: DescribedVersions,
  kept: readonly KeptVersion[],
): DescribedVersion[] {
  return versions.filter((own) => {
    const before = kept.find(({ version }) => version === own.version);
    return before !== undefined && !means(own, before);
  });
}

function means(a: KeptVersion, b: KeptVersion): boolean {
  if (a.fingerprint === b.fingerprint) return true;
  return (["input", "output"] as const).every((side) => {
    const [left, right] = [a[side], b[side]];
    if (left === undefined || right === undefined) return left === right;
    return sameJson(left, right) || [...fits(left, right), ...fits(right, left)].length === 0;
  });
}

/** Pure: the pairs whose writer's values have to fit the reader as they are. */
export function pairsToCompare(
  compatibility: Compatibility,
  versions: readonly Pick<DescribedVersion, "version" | "upgrades">[],
  newest: number,
): VersionPair[] {
  if (compatibility === "none") return [];
  const [direction, transitive] = compatibility.split("-");
  const earlier = versions.map(({ version }) => version).filter((version) => version < newest);
  const later = versions.map(({ version }) => version).filter((version) => version > newest);
  const others = transitive ? earlier : earlier.slice(-1);
  const pairs: VersionPair[] = [];
  const add = (writer: number, reader: number) => {
    if (!pairs.some((pair) => pair.writer === writer && pair.reader === reader))
      pairs.push({ writer, reader });
  };
  for (const other of others) {
    if (direction !== "forward")
      for (const hop of hopsBetween(versions, other, newest)) add(hop.writer, hop.reader);
    if (direction !== "backward") add(newest, other);
  }
  // A process that was rolled back meets what newer ones have written.
  if (direction !== "backward") for (const version of later) add(version, newest);
  return pairs;
}

/**
 * The way of a message from the version it was written with to the newest: where it is read as it is. An upgrade is
 * given a message of the version before its own.
 */
export function hopsBetween(
  versions: readonly Pick<DescribedVersion, "version" | "upgrades">[],
  from: number,
  to: number,
): VersionPair[] {
  const hops: VersionPair[] = [];
  let at = from;
  for (const { version, upgrades } of versions) {
    if (!upgrades || version <= from || version > to) continue;
    if (at < version - 1) hops.push({ writer: at, reader: version - 1 });
    at = version;
  }
  if (at < to) hops.push({ writer: at, reader: to });
  return hops;
}

function pairFindings(
  versions: readonly DescribedVersion[],
  pair: VersionPair,
  newest: number,
): VersionFinding[] {
  const of = (number: number) => versions.find(({ version }) => version === number);
  const [writer, reader] = [of(pair.writer), of(pair.reader)];
  if (writer?.output === undefined || reader?.input === undefined) return [];
  const accepted = new Set([...writer.accept, ...reader.accept]);
  return fits(writer.output, reader.input)
    .filter(({ kind, path }) => kind === "incompatible" || !accepted.has(path))
    .map((finding) => ({ ...finding, ...pair, message: messageOf(finding, pair, newest) }));
}

function messageOf(
  { kind, path, code, reason }: Finding,
  { writer, reader }: VersionPair,
  newest: number,
): string {
  const where = path === "" ? "the message itself" : `\`${path}\``;
  const who = `version ${reader} cannot read what version ${writer} writes`;
  if (kind === "undecided") {
    return `${who.replace("cannot", "may not be able to")}: ${where}: ${reason}. If you know that it can, add ${JSON.stringify(path)} to \`accept\` of version ${newest}.`;
  }
  return `${who}: ${where}: ${reason}. ${remedy(code, { writer, reader })}`;
}

function remedy(code: Finding["code"], { writer, reader }: VersionPair): string {
  const backward = writer < reader;
  if (code === "required" && backward)
    return `Give it a default or make it optional, or give version ${reader} an \`upgrade\` that fills it in.`;
  if (code === "required") return `Version ${reader} needs it: keep it required in version ${writer}.`;
  if (code === "extra" && backward)
    return `Have version ${reader} allow it, or give it an \`upgrade\` that takes it away.`;
  if (code === "extra")
    return `Have version ${reader} allow what it does not name before version ${writer} is used.`;
  if (backward) return `Widen version ${reader} so that it still takes it, or give it an \`upgrade\`.`;
  return `Old readers meet it while both versions run: keep what version ${writer} writes within what version ${reader} takes, or declare "backward" and roll readers out first.`;
}
