export {
  changedVersions,
  compatibilityFindings,
  type KeptVersion,
  type VersionFinding,
  type VersionPair,
} from "./compatibility.ts";
export type { Finding, FindingCode } from "./finding.ts";
export { fits } from "./fits.ts";
export { fingerprintOf, type JsonSchema } from "./json-schema.ts";
export { issueTexts, readMessage, type WrittenMessage } from "./read-message.ts";
export { incompatibleError, type KeptIn, versionProblems } from "./registration.ts";
export {
  type Compatibility,
  type DeclaredVersion,
  type DescribedVersion,
  type DescribedVersions,
  type VersionedSchema,
  type VersionFields,
  type VersionOptions,
  type Versions,
  type VersionsOptions,
  versions,
  versionsOf,
} from "./versions.ts";
