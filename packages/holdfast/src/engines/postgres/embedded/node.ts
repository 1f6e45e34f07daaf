/**
 * Starting a database node: found or made in its directory, owned by this process, all of its servers answering.
 *
 * The node keeps its ports and password in a small record beside its data, so that endpoints stay as they are
 * whatever happens to its servers.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { HoldfastError } from "../../../call/index.ts";
import { type Clock, systemClock } from "../../../clock/index.ts";
import { resolveBinaries } from "./binaries.ts";
import { freePort } from "./free-port.ts";
import { randomPassword } from "./init-data.ts";
import { type NodeRecord, readNodeRecord, writeNodeRecord } from "./node-record.ts";
import { NodeServers } from "./node-servers.ts";
import { type OsUser, serverUser } from "./os-user.ts";
import { identifySelf, isRunning, stopOrphans } from "./processes.ts";
import { defaultSharedDir } from "./reachable.ts";
import type { RunningNode, StartNodeOptions } from "./running-node.ts";
import { fileName, superuser } from "./server-id.ts";
import { chooseServersDir } from "./servers-dir.ts";
import { socketDirOf } from "./socket-dir.ts";

/**
 * Starts the node in `dir`, making it on the first run. When this throws, none of its servers runs.
 *
 * Servers that a dead process left running are stopped first. One process at a time runs a node; the check
 * is for mistakes, and a supervisor of several nodes still has to make sure that it is the only one.
 *
 * @throws {HoldfastError} HOLDFAST_POSTGRES_IN_USE, _BINARIES, _OS_USER, _VERSION, _PORT_TAKEN,
 *   _SHARED_MEMORY, _START, HOLDFAST_DISK_FULL, HOLDFAST_ABORTED
 */
export async function startNode(options: StartNodeOptions): Promise<RunningNode> {
  const { dir, clock = systemClock, packageDir, sharedDir = defaultSharedDir } = options;
  const user = await serverUser(options.osUser);
  const binaries =
    options.binaries ??
    (await resolveBinaries({ user, sharedDir, ...(packageDir === undefined ? {} : { packageDir }) }));
  await mkdir(dir, { recursive: true, mode: 0o755 });
  const record = await ownRecord(options, user, sharedDir, clock);
  const node = new NodeServers(options, { clock, user, binaries }, record);
  const giveUp = () => void node.stop();
  options.signal?.addEventListener("abort", giveUp, { once: true });
  try {
    if (options.signal?.aborted) giveUp();
    await node.start();
  } catch (error) {
    await node.stop();
    throw error;
  } finally {
    options.signal?.removeEventListener("abort", giveUp);
  }
  return node;
}

/**
 * Stops the servers of a node whose process is dead, cleanly where possible: for `holdfast down`.
 *
 * @returns how many processes were stopped
 * @throws {HoldfastError} HOLDFAST_POSTGRES_IN_USE when that process lives: it has to stop them itself
 */
export async function stopAbandonedNode(dir: string, clock: Clock = systemClock): Promise<number> {
  const record = await readNodeRecord(dir);
  if (!record) return 0;
  await refuseLivingOwner(dir, record);
  let stopped = 0;
  // Replicas first, as in a clean stop.
  for (const index of [...record.ports.keys()].reverse()) {
    const id = index === 0 ? "primary" : index - 1;
    const dataDir = join(record.serversDir, fileName(id));
    stopped += await stopOrphans(dataDir, clock);
    await rm(socketDirOf(dataDir), { recursive: true, force: true });
  }
  await writeNodeRecord(dir, { ...record, owner: null });
  return stopped;
}

/** The node's record, made on the first run, with this process as its owner. */
async function ownRecord(
  options: StartNodeOptions,
  user: OsUser,
  sharedDir: string,
  clock: Clock,
): Promise<NodeRecord> {
  const { dir } = options;
  const known = await readNodeRecord(dir);
  if (known) await refuseLivingOwner(dir, known);
  const ports = [...(known?.ports ?? [])];
  while (ports.length < 1 + (options.replicas ?? 0)) {
    const port = await freePort(clock.random);
    if (!ports.includes(port)) ports.push(port);
  }
  const owner = await identifySelf();
  const record: NodeRecord = known
    ? { ...known, ports, owner }
    : { ...(await newRecord(dir, user, sharedDir, clock, options.password)), ports, owner };
  await writeNodeRecord(dir, record);
  return record;
}

async function newRecord(
  dir: string,
  user: OsUser,
  sharedDir: string,
  clock: Clock,
  password = randomPassword(clock.random),
): Promise<NodeRecord> {
  const serversDir = await chooseServersDir(dir, user, sharedDir);
  return { format: 1, serversDir, superuser, password, ports: [], made: false, owner: null };
}

/** The record of the node in `dir`, made when there is none: for data that is brought from elsewhere. */
export async function makeNodeRecord(
  dir: string,
  user: OsUser,
  sharedDir: string,
  clock: Clock,
): Promise<NodeRecord> {
  const known = await readNodeRecord(dir);
  if (known) {
    await refuseLivingOwner(dir, known);
    return known;
  }
  await mkdir(dir, { recursive: true, mode: 0o755 });
  const record = await newRecord(dir, user, sharedDir, clock);
  await writeNodeRecord(dir, record);
  return record;
}

async function refuseLivingOwner(dir: string, { owner }: NodeRecord): Promise<void> {
  if (!owner || !(await isRunning(owner))) return;
  throw new HoldfastError(
    "HOLDFAST_POSTGRES_IN_USE",
    `The servers in ${dir} are run by process ${owner.pid}. Stop it first.`,
    { data: { dir, pid: owner.pid } },
  );
}
