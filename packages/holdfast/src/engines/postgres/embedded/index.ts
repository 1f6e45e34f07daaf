/**
 * Real Postgres servers as child processes, from the binaries of an npm package: made, started, recovered
 * after a crash, restarted and stopped.
 *
 * For a supervisor:
 *
 *   const node = await startNode({ name: "links-1", dir: ".holdfast/nodes/links-1", replicas: 1, clock });
 *   await node.createDatabase("links");
 *   node.endpoints("links");                       // PostgresNodeConfig: stays the same over restarts
 *   node.primary.exited.then(({ code, signal }) => node.restartServer("primary"));
 *   node.replicas[0].exited.then(() => node.restartServer(0));
 *   await node.stop();                             // clean, replicas first, bounded; can run twice
 *
 * `restartServer` recovers committed data after kill -9 on the same port; replicas follow a restarted primary
 * by themselves; a replica whose WAL is gone is rebuilt. `failOver` is for a primary that cannot come back. Servers of a dead supervisor are found and ended by
 * the next `startNode` on the same directory, or by `stopAbandonedNode`; a second living supervisor is refused
 * (HOLDFAST_POSTGRES_IN_USE).
 */

export type { ArchiveState } from "./archive.ts";
export { binaryPackageName, type PostgresBinaries, resolveBinaries } from "./binaries.ts";
export { freePort, isPortFree } from "./free-port.ts";
export { type InitDataOptions, initDataDir, randomPassword } from "./init-data.ts";
export { startNode, stopAbandonedNode } from "./node.ts";
export type { Failover } from "./node-record.ts";
export { type OsUser, osUserName, serverUser } from "./os-user.ts";
export {
  findServerProcesses,
  isRunning,
  type ProcessIdentity,
  processStartTime,
  signalProcess,
  stopOrphans,
} from "./processes.ts";
export type { ReplicaState } from "./replica-slots.ts";
export type { RunningNode, ServerId, StartNodeOptions } from "./running-node.ts";
export type { RunningServer, ServerExit } from "./running-server.ts";
export { type StartServerOptions, startServer } from "./server.ts";
export { serverTempDir, socketDirOf } from "./socket-dir.ts";
