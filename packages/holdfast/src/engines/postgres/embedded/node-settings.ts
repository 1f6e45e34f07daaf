/** What each server of a node runs with, from the node's record and options and from what its commits wait for. */

import { join } from "node:path";
import type { NodeRecord } from "./node-record.ts";
import { slotName } from "./replica-slots.ts";
import type { ServerId, StartNodeOptions } from "./running-node.ts";
import { fileName, portIndex, superuser } from "./server-id.ts";
import type { ServerSettings } from "./settings.ts";
import { socketDirOf } from "./socket-dir.ts";

export interface NodeFacts {
  readonly record: NodeRecord;
  readonly options: StartNodeOptions;
  /** Replicas that a commit waits for. */
  readonly quorum: number;
  /** Replicas that there are. */
  readonly replicas: number;
  /** Major version of Postgres. */
  readonly major: number;
}

export function nodeSettings(
  id: ServerId,
  { record, options, quorum, replicas, major }: NodeFacts,
): ServerSettings {
  const { maxConnections, sharedBuffersMiB, settings } = options;
  const { archiveDir } = record;
  return {
    port: portOf(record, id),
    socketDir: socketDirOf(join(record.serversDir, fileName(id))),
    ...(maxConnections === undefined ? {} : { maxConnections }),
    ...(sharedBuffersMiB === undefined ? {} : { sharedBuffersMiB }),
    ...(settings === undefined ? {} : { extra: settings }),
    ...(archiveDir ? { archiveDir } : {}),
    ...(id === "primary" && quorum > 0
      ? { synchronous: { quorum, standbys: Array.from({ length: replicas }, (_, index) => fileName(index)) } }
      : {}),
    ...(id === "primary"
      ? {}
      : {
          follow: {
            host: "127.0.0.1",
            port: portOf(record, "primary"),
            user: superuser,
            password: record.password,
            slot: slotName(id),
            applicationName: fileName(id),
            ...(options.syncSlots && major >= 17 ? { syncSlots: true } : {}),
          },
        }),
  };
}

export function portOf(record: NodeRecord, id: ServerId): number {
  const port = record.ports[portIndex(id)];
  if (port === undefined) throw new RangeError(`${record.serversDir} has no port for ${fileName(id)}`);
  return port;
}
