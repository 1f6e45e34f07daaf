/** The second phase, and the way back: every part commits, or every part is rolled back. */
import type { LogPosition } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import { parseGid } from "./cross-shard-gid.ts";
import { type Finished, finishPart, type NodePart, type Verb } from "./cross-shard-part.ts";
import type { DatabaseNodes } from "./nodes.ts";

export interface FinishRequest {
  readonly nodes: DatabaseNodes;
  readonly clock: Clock;
}

/** How long a part is tried for before it is left to recovery, in milliseconds: its locks are held meanwhile. */
const finishMsMax = 5_000;

/**
 * Commits the participants, notes where on each part, and forgets the decision once all have confirmed. Never
 * rejects: what could not be reached is finished by recovery.
 *
 * @param position of the coordinator's commit
 */
export async function finishAll(
  request: FinishRequest,
  [coordinator, ...others]: readonly [NodePart, ...NodePart[]],
  position: LogPosition | undefined,
): Promise<void> {
  coordinator.committed = position;
  const finished = await finish(request, others, "commit");
  // Only what was told to this process is certain to outlive a failover.
  if (finished.every(({ kind }) => kind === "done")) forget(coordinator, others);
}

function forget({ session }: NodePart, others: readonly NodePart[]): void {
  const id = parseGid(others[0]?.gid ?? "")?.id;
  if (id === undefined || session.ended) return;
  // One that is lost costs recovery a look.
  session.push({
    text: `begin read write; set local synchronous_commit to off; delete from holdfast.decision where id = '${id}'; commit`,
  });
}

/** @returns whether every server has said that its part is undone */
export async function rollbackAll(request: FinishRequest, parts: readonly NodePart[]): Promise<boolean> {
  const open = parts.filter(({ gid }) => gid === undefined);
  const prepared = parts.filter(({ gid }) => gid !== undefined);
  const rolledBack = await Promise.all(open.map(rollback));
  const finished = await finish(request, prepared, "rollback");
  return rolledBack.every(Boolean) && finished.every(({ kind }) => kind !== "pending");
}

async function rollback({ session }: NodePart): Promise<boolean> {
  try {
    if (session.ended) return false;
    await session.send({ text: "rollback" });
    return true;
  } catch {
    session.taint();
    return false;
  } finally {
    session.forgetSchema();
  }
}

function finish(
  { nodes, clock }: FinishRequest,
  parts: readonly NodePart[],
  verb: Verb,
): Promise<readonly Finished[]> {
  // Of no call: what was decided is finished although its caller has left.
  const patience = { untilMs: clock.monotonicMs() + finishMsMax, call: undefined };
  return Promise.all(
    parts.map(async (part) => {
      const finished = await finishPart(part, verb, { nodes, clock, patience });
      if (finished.kind === "done") part.committed = finished.position;
      part.session.forgetSchema();
      return finished;
    }),
  );
}
