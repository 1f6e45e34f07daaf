/**
 * Where a node's data lies: in the node's own directory, or, when Holdfast runs as root in a project that the
 * server's user cannot reach (under `/root`), in the machine-wide directory of Holdfast.
 */
import { createHash } from "node:crypto";
import { mkdir, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { HoldfastError } from "../../../call/index.ts";
import type { OsUser } from "./os-user.ts";
import { makeSharedDir, reachableBy } from "./reachable.ts";

/** Chooses and makes the directory for a new node: one that has no record yet. */
export async function chooseServersDir(nodeDir: string, user: OsUser, shared: string): Promise<string> {
  const dir = await realpath(nodeDir);
  if (await reachableBy(user, dir)) return makeFor(join(dir, "servers"), user);
  await makeSharedDir(shared);
  if (!(await reachableBy(user, shared))) {
    throw new HoldfastError(
      "HOLDFAST_POSTGRES_OS_USER",
      `The user "${user.name}", which runs Postgres because Holdfast runs as root, can reach neither ${dir} nor ` +
        `${shared}. Move the project to a directory that others may enter, or start Holdfast as an ordinary user.`,
      { data: { dir, shared, user: user.name } },
    );
  }
  const hash = createHash("sha256").update(dir).digest("hex").slice(0, 16);
  const servers = join(shared, `servers-${hash}`);
  // The node's record was deleted, as `rm -rf .holdfast` does: the data that belonged to it goes too.
  await rm(servers, { recursive: true, force: true });
  return makeFor(servers, user);
}

/** Passable for the server's user, who owns only the data directories in it. */
async function makeFor(dir: string, user: OsUser): Promise<string> {
  await mkdir(dir, { recursive: true, mode: user.separate ? 0o711 : 0o700 });
  return dir;
}
