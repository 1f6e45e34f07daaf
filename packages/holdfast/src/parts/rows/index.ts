export type { DocumentColumns, DocumentRow } from "./document-statements.ts";
export {
  type ChangeHow,
  type Documents,
  type DocumentsOptions,
  documents,
  documentsDefaults,
  type MergePatch,
  type RemoveHow,
} from "./documents.ts";
export { etagOf, versionOfIfMatch } from "./etag.ts";
export { type FindOptions, findDefaults, type Page } from "./find-page.ts";
export { type Increment, type Incremented, increment } from "./increment.ts";
export { type KeptDrift, repairKept, verifyKept } from "./kept.ts";
export {
  type CompareAndSet,
  type KeyValues,
  type KeyValuesOptions,
  keyValues,
  keyValuesDefaults,
  type SetHow,
} from "./key-values.ts";
export type { KeyedTableOptions, ReadHow, Statements, WriteHow } from "./keyed-table.ts";
export { mergePatch } from "./merge-patch.ts";
export { type RetryConflictsOptions, retryConflicts, retryConflictsDefaults } from "./retry-conflicts.ts";
export {
  type SlottedCounter,
  type SlottedCounterOptions,
  slottedCounter,
  slottedCounterDefaults,
} from "./slotted-counter.ts";
export { updateVersioned, type VersionedUpdate } from "./versioned.ts";
