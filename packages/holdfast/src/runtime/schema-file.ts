/**
 * `schemas.json`: the versions of a system's messages as they were when they were committed, so that a change can be
 * judged where nothing runs.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { HoldfastError } from "../call/index.ts";
import {
  changedVersions,
  type DescribedVersions,
  type KeptVersion,
  versionProblems,
} from "../parts/schema/index.ts";
import type { VersionedPart } from "./describe.ts";

/** By part, such as `topic/orders`. */
export type SchemaFile = Readonly<
  Record<string, { readonly compatibility: string; readonly versions: readonly KeptVersion[] }>
>;

/** What became of a version since it was committed. */
export interface ComparedVersion {
  readonly part: string;
  readonly compatibility: string;
  readonly version: number;
  readonly fingerprint: string;
  readonly upgrades: boolean;
  /** `dropped`: the code does not declare it any more; messages may still be of it. */
  readonly state: "committed" | "new" | "changed" | "dropped";
}

export interface ComparedSchemas {
  readonly versions: readonly ComparedVersion[];
  /** Such as `topic "orders": version 3 cannot read …`. */
  readonly problems: readonly string[];
  /** Whether the file says less, or other, than the code. */
  readonly behind: boolean;
}

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID when the file is none of this kind */
export function readSchemaFile(path: string): SchemaFile {
  if (!existsSync(path)) return {};
  const broken = (why: string) =>
    new HoldfastError(
      "HOLDFAST_INPUT_INVALID",
      `${path} is no file of message schemas: ${why}. Take it from version control again, or remove it and write it anew.`,
      { data: { path } },
    );
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw broken((error as Error).message);
  }
  const isKept = (one: unknown) => typeof (one as KeptVersion | null)?.version === "number";
  const parts = typeof parsed === "object" && parsed !== null ? Object.entries(parsed) : undefined;
  const wrong = parts?.find(([, one]) => !(Array.isArray(one?.versions) && one.versions.every(isKept)));
  if (!parts || wrong) throw broken(`${wrong?.[0] ?? "its content"} should have a list of versions`);
  return parsed as SchemaFile;
}

/** Pure: the file with what the code declares. What it had of versions that are gone stays. */
export function schemaFileOf(file: SchemaFile, parts: readonly VersionedPart[]): SchemaFile {
  const entries = parts.map(({ part, versions: described }) => {
    const own = described.versions.map(({ version, fingerprint, input, output }) => ({
      version,
      fingerprint,
      input,
      output,
    }));
    const old = (file[part]?.versions ?? []).filter(
      ({ version }) => !own.some((one) => one.version === version),
    );
    const versions = [...old, ...own].sort((a, b) => a.version - b.version);
    return [part, { compatibility: described.compatibility, versions }] as const;
  });
  const sorted = Object.entries({ ...file, ...Object.fromEntries(entries) }).sort(([a], [b]) =>
    a < b ? -1 : 1,
  );
  return Object.fromEntries(sorted);
}

export function writeSchemaFile(path: string, file: SchemaFile): void {
  writeFileSync(path, `${JSON.stringify(file, null, 2)}\n`);
}

/** Pure. */
export function compareSchemas(file: SchemaFile, parts: readonly VersionedPart[]): ComparedSchemas {
  const compared = parts.map(({ part, versions }) => compareOne(part, file[part]?.versions ?? [], versions));
  return {
    versions: compared.flatMap(({ versions }) => versions),
    problems: compared.flatMap(({ problems }) => problems),
    behind: JSON.stringify(schemaFileOf(file, parts)) !== JSON.stringify(file),
  };
}

function compareOne(part: string, kept: readonly KeptVersion[], described: DescribedVersions) {
  const { compatibility, versions } = described;
  const changed = new Set(changedVersions(described, kept).map(({ version }) => version));
  const known = new Set(kept.map(({ version }) => version));
  const own: ComparedVersion[] = versions.map(({ version, fingerprint, upgrades }) => ({
    part,
    compatibility,
    version,
    fingerprint,
    upgrades,
    state: changed.has(version) ? "changed" : known.has(version) ? "committed" : "new",
  }));
  const dropped: ComparedVersion[] = kept
    .filter(({ version }) => !versions.some((one) => one.version === version))
    .map(({ version, fingerprint }) => ({
      part,
      compatibility,
      version,
      fingerprint,
      upgrades: false,
      state: "dropped",
    }));
  const [kind, name] = part.split("/");
  return {
    versions: [...dropped, ...own].sort((a, b) => a.version - b.version),
    problems: versionProblems(described, kept, "committed").map((problem) => `${kind} "${name}": ${problem}`),
  };
}
