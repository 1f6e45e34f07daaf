/**
 * Backups of a system's Postgres nodes, and restores to a point in time, one cut for all nodes.
 *
 * On Postgres of your own, base backups and log archives are the server's business; `makeCut` then gives all nodes
 * one restore point, so that shards can be restored to one moment.
 */
export { type Cut, type CutNode, type CutOptions, cutNameBytesMax, makeCut } from "./cut.ts";
export {
  type BackupFile,
  type BackupManifest,
  backupBytes,
  type NodeManifest,
  readManifest,
} from "./manifest.ts";
export {
  type Restored,
  type RestoredNode,
  type RestoreNodesOptions,
  type RestoreProgress,
  restoreNodes,
} from "./restore-nodes.ts";
export { type RestoreTarget, targetText } from "./restore-target.ts";
export {
  type BackupNode,
  type BackupProgress,
  type TakeBackupOptions,
  type TakenBackup,
  takeBackup,
} from "./take-backup.ts";
export { type VerifyOptions, verifyFiles } from "./verify.ts";
