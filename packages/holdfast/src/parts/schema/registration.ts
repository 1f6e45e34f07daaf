/**
 * What keeps declared versions from being used beside those that were registered before: at a part's home, or in a
 * committed file. Pure.
 */
import { HoldfastError } from "../../call/index.ts";
import { changedVersions, compatibilityFindings, type KeptVersion } from "./compatibility.ts";
import type { DescribedVersions } from "./versions.ts";

/** Where the kept versions are, for messages: `registered` at home, or `committed` in a file. */
export type KeptIn = "registered" | "committed";

/** @returns every problem, in words and with what to do, without the part's name */
export function versionProblems(
  described: DescribedVersions,
  kept: readonly KeptVersion[] = [],
  where: KeptIn = "registered",
): string[] {
  if (described.compatibility === "none") return [];
  const newest = Math.max(
    ...described.versions.map(({ version }) => version),
    ...kept.map(({ version }) => version),
  );
  return [
    ...changedVersions(described, kept).map(
      ({ version }) =>
        `version ${version} is declared otherwise than it was ${where}: messages were written with it, so it never changes. Put it back, and declare the change as version ${newest + 1}.`,
    ),
    ...compatibilityFindings(described, kept).map(({ message }) => message),
  ];
}

/** Of all parts at once. */
export function incompatibleError(problems: readonly string[]): HoldfastError {
  const list =
    problems.length === 1 ? ` ${problems[0]}` : problems.map((problem) => `\n  - ${problem}`).join("");
  return new HoldfastError("HOLDFAST_SCHEMA_INCOMPATIBLE", `Message schemas are not compatible:${list}`, {
    data: { problems },
  });
}
