/**
 * The deep check of a backup: each node is restored to the cut in a directory for temporary files, started on a free
 * port, and every table of it is read, so that every page is checked by the server itself. Nothing stays.
 */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { HoldfastError } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import { resolveBinaries } from "../embedded/binaries.ts";
import { freePort } from "../embedded/free-port.ts";
import { serverUser } from "../embedded/os-user.ts";
import { serverTempDir } from "../embedded/socket-dir.ts";
import { readManifest } from "./manifest.ts";
import { prepareNode, removePrepared } from "./prepare-node.ts";
import { NodeRecovery } from "./recover-node.ts";
import { planNode } from "./restore-plan.ts";

export interface DeepVerifyOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Where the copies are made. Default: the system's directory for temporary files. */
  readonly tempDir?: string;
  readonly onProgress?: (text: string) => void;
}

export interface ReadNode {
  readonly node: string;
  readonly tables: number;
  readonly rows: number;
}

/** @throws {HoldfastError} HOLDFAST_BACKUP_DAMAGED, _POSTGRES_VERSION, _POSTGRES_START with the server's words */
export async function verifyDeep(backupDir: string, options: DeepVerifyOptions): Promise<ReadNode[]> {
  const { clock, signal, onProgress } = options;
  const manifest = await readManifest(backupDir);
  const user = await serverUser();
  const binaries = await resolveBinaries({ user });
  const dir = await mkdtemp(join(options.tempDir ?? serverTempDir(), "hf-verify-"));
  await chmod(dir, 0o711);
  const read: ReadNode[] = [];
  try {
    for (const node of manifest.nodes) {
      const target = { kind: "cut", cut: manifest.cut } as const;
      const plan = await planNode({
        node,
        backupDir,
        target,
        archiveDirs: [],
        walDirs: [],
        restores: [],
      });
      if ("code" in plan) throw new HoldfastError(plan.code, `${plan.message}.`);
      const dataDir = join(dir, node.name);
      const port = await freePort(clock.random);
      const shared = { node, dataDir, user, binaries, clock, signal };
      const recovery = new NodeRecovery({ ...shared, plan, target, logFile: `${dataDir}.log`, port });
      try {
        onProgress?.(`copying ${node.name}`);
        await prepareNode({ ...shared, backupDir, historyDirs: [], sync: false });
        onProgress?.(`starting ${node.name}`);
        await recovery.replay();
        onProgress?.(`reading ${node.name}`);
        read.push({ node: node.name, ...(await readAll(recovery)) });
      } finally {
        await recovery.stop().catch(() => {});
        await removePrepared(dataDir, clock);
      }
    }
    return read;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function readAll(recovery: NodeRecovery): Promise<{ tables: number; rows: number }> {
  const databases = await recovery.ask(async (client) => {
    const { rows } = await client.query<{ datname: string }>(
      "select datname from pg_database where datallowconn",
    );
    return rows.map(({ datname }) => datname);
  });
  let tables = 0;
  let rows = 0;
  for (const database of databases) {
    await recovery.ask(async (client) => {
      const found = await client.query<{ name: string }>(
        `select format('%I.%I', n.nspname, c.relname) as name
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'm') and c.relpersistence = 'p' and c.relispopulated
           and n.nspname not in ('pg_catalog', 'information_schema')`,
      );
      for (const { name } of found.rows) {
        const { rows: count } = await client.query<{ count: string }>(`select count(*) from ${name}`);
        tables++;
        rows += Number(count[0]?.count ?? 0);
      }
    }, database);
  }
  return { tables, rows };
}
