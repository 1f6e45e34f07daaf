/**
 * A transaction across nodes: two-phase commit whose coordinator takes part itself.
 *
 *   BEGIN on every node · the caller's statements · PREPARE TRANSACTION on all nodes but the coordinator's, at the
 *   same time · COMMIT on the coordinator's, with the decision in it · COMMIT PREPARED on the others · forget
 *
 * The coordinator's part and the decision are one commit: one flush and one quorum less than with a decision of its
 * own. Nothing is committed anywhere before the coordinator's quorum has acknowledged the decision.
 *
 * | what went wrong                              | then                                                        |
 * |----------------------------------------------|-------------------------------------------------------------|
 * | before COMMIT was sent                       | every part is rolled back; again, while patience lasts      |
 * | a PREPARE without an answer                  | as above: nobody decides for it, recovery takes it back     |
 * | COMMIT without an answer                     | settled by the marker, as in any write                      |
 * | COMMIT PREPARED without an answer            | it is applied: on another connection, or by recovery        |
 * | this process dies                            | recovery: by the decision, or its absence                   |
 */
import type { Call, HoldfastError, LogPosition } from "../../call/index.ts";
import { commit } from "./commit.ts";
import { type DecisionProof, decisionProofs } from "./cross-shard-decision.ts";
import { asynchronousError, nodeNameError } from "./cross-shard-error.ts";
import { finishAll, rollbackAll } from "./cross-shard-finish.ts";
import { fitsGid, formatGid } from "./cross-shard-gid.ts";
import { leaseShards } from "./cross-shard-leases.ts";
import { type NodePart, prepare } from "./cross-shard-part.ts";
import { recoverInDoubt } from "./cross-shard-recovery.ts";
import type { ShardPlaceOn, TogetherRequest } from "./cross-shard-request.ts";
import { checkServer } from "./cross-shard-server.ts";
import { attemptsMax, mayTryAgain, settle, track, waited } from "./database-write.ts";
import { endedByUserError, lostCommitError, rolledBackError, unknownError } from "./database-write-error.ts";
import { isOwnAnswer } from "./kysely-lease.ts";
import { overError } from "./pool-lease.ts";
import { checkPrimary } from "./read-position.ts";
import { untilOver, watchSilence } from "./session-watch.ts";

/** How long the coordinator's part may wait for the others to be prepared before its server gives it up. */
const preparingMs = 15_000;
/** How long a part without a deadline may hear nothing from its caller. Beyond the deadline it waits this little. */
const idleMs = { unbounded: 60_000, beyond: 1_000 } as const;

type Failed = {
  readonly kind: "failed";
  readonly error: unknown;
  /** The failure of the transaction itself, as opposed to what else `run` may have thrown. */
  readonly own: HoldfastError | undefined;
  readonly undone?: boolean;
};

type Ended<T> =
  | { readonly kind: "applied"; readonly value: T; readonly position: LogPosition | undefined }
  | { readonly kind: "before"; readonly value: T }
  | Failed;

type Parts = readonly [NodePart, ...NodePart[]];

/** @throws {HoldfastError} HOLDFAST_CROSS_SHARD_REFUSED, and what a write throws */
export async function writeAcross<T>(request: TogetherRequest<T>): Promise<T> {
  const { places, replication, options, clock } = request;
  const names = [...new Set(places.map(({ node }) => node))];
  if (replication.mode !== "synchronous") throw asynchronousError(request.database, names);
  const [first] = places as [ShardPlaceOn];
  if (!fitsGid(first.node)) throw nodeNameError(first.node);
  const proofs = decisionProofs<T>(first.shard, options, clock);
  for (let attempt = 1; ; attempt++) {
    const ended = await tryOnce(request, proofs());
    if (ended.kind !== "failed") return ended.value;
    if (!mayTryAgain(ended.own)) {
      if (ended.undone) request.undone?.();
      throw ended.error;
    }
    if (attempt >= attemptsMax || !(await waited(request, attempt))) throw ended.error;
  }
}

/** @throws {HoldfastError} HOLDFAST_DEADLINE or HOLDFAST_ABORTED when the call is over; HOLDFAST_OUTCOME_UNKNOWN */
async function tryOnce<T>(request: TogetherRequest<T>, proof: DecisionProof<T>): Promise<Ended<T>> {
  const { patience, clock } = request;
  let parts: Parts;
  try {
    parts = await leaseParts(request);
  } catch (error) {
    return { kind: "failed", error, own: error as HoldfastError };
  }
  const phase = { deciding: false };
  const silences = parts.map(({ session }) =>
    watchSilence(session, patience, clock, (reason) =>
      phase.deciding ? session.destroy(reason) : session.cancelAndDestroy(reason),
    ),
  );
  const work = decide(request, proof, parts, phase);
  // Goes on when the caller has left: what was decided is finished, what was not is taken back.
  const finished = work
    .then((ended) => (ended.kind === "applied" ? finishAll(request, parts, ended.position) : undefined))
    .finally(() => {
      for (const silence of silences) silence?.cancel();
      for (const { pool, session } of parts) pool.releaseOnceAnswered(session);
    });
  finished.catch(() => {});
  const over = () => overError(patience.call as Call, phase.deciding ? "unknown" : "not-applied");
  const ended = await untilOver(patience.call, work, () => {
    if (!phase.deciding) for (const { session } of parts) session.cancelAndDestroy();
    return over();
  });
  // It is applied, whatever becomes of the waiting.
  await untilOver(patience.call, finished, over).catch(() => {});
  if (ended.kind === "applied") {
    for (const { node, leases } of parts) if (leases?.outbox.isEmpty === false) request.published(node);
    for (const part of parts) await noteCommit(request, part);
  }
  if (ended.kind === "before") await showBefore(request);
  return ended;
}

/** In the order of the nodes' names, so that two of them never wait for each other's connections. */
async function leaseParts<T>({ nodes, places, patience }: TogetherRequest<T>): Promise<Parts> {
  const byNode = new Map<string, ShardPlaceOn[]>();
  for (const place of places) byNode.set(place.node, [...(byNode.get(place.node) ?? []), place]);
  const coordinator = places[0]?.node;
  const parts: NodePart[] = [];
  try {
    for (const node of [...byNode.keys()].sort()) {
      const shards = byNode.get(node) ?? [];
      const pool = nodes.primary(node);
      const session = await pool.lease(patience, shards[0]?.schema);
      const part: NodePart = {
        node,
        shards,
        pool,
        session,
        leases: undefined,
        gid: undefined,
        committed: undefined,
      };
      if (node === coordinator) parts.unshift(part);
      else parts.push(part);
      await checkPrimary(pool, session, patience.call?.session, nodes);
    }
  } catch (error) {
    for (const { pool, session } of parts) pool.release(session);
    throw error;
  }
  return parts as unknown as Parts;
}

/** Everything up to the decision. */
async function decide<T>(
  request: TogetherRequest<T>,
  proof: DecisionProof<T>,
  parts: Parts,
  phase: { deciding: boolean },
): Promise<Ended<T>> {
  const [coordinator, ...others] = parts;
  let value: T;
  /** Whether a failure now is the transaction's: before and after the caller's own code. */
  let ours = true;
  try {
    const before = await begin(request, proof, parts);
    if (before) {
      await rollbackAll(request, parts);
      return { kind: "before", value: before.before };
    }
    ours = false;
    value = await request.run((shard) => txOf(parts, shard));
    for (const { leases } of parts) leases?.end();
    const failure = failureOf(parts);
    if (failure) throw rolledBackError(failure);
    if (parts.some(({ session }) => session.transactionStatus === "I")) throw endedByUserError();
    value = proof.close(coordinator.session, value);
    ours = true;
    await publishAll(parts);
    await prepareAll(request, proof.id, coordinator, others);
  } catch (error) {
    return await abandon(request, parts, error, ours ? (error as HoldfastError) : failureOf(parts));
  }
  phase.deciding = true;
  const tracked = request.isTracked(coordinator.node);
  const verdict = await commit(coordinator.session, tracked, proof.rider(others.map(({ node }) => node)));
  if (verdict.kind === "applied") return { kind: "applied", value, position: verdict.position };
  if (verdict.kind === "not-applied") {
    const own = coordinator.leases?.failure ?? verdict.cause;
    return await abandon(request, parts, own, own);
  }
  const { nodes, patience, clock } = request;
  const basis = {
    nodes,
    node: coordinator.node,
    patience,
    clock,
    quorum: request.quorumOf(coordinator.node),
  };
  if ((await settle(basis, proof, verdict)) === true) return { kind: "applied", value, position: undefined };
  const lost = lostCommitError(coordinator.pool, verdict.cause);
  return await abandon(request, parts, lost, lost);
}

/** Begins every part; answers what was answered before, when a key says that it has happened. */
async function begin<T>(
  request: TogetherRequest<T>,
  proof: DecisionProof<T>,
  parts: Parts,
): Promise<{ readonly before: T } | undefined> {
  const { patience, replication, options, uses } = request;
  if (replication.mode !== "synchronous") throw asynchronousError(request.database, []);
  const { quorum, onReplicaLoss } = replication;
  const remainingMs = patience.call?.remainingMs() ?? Number.POSITIVE_INFINITY;
  // No server sees a deadlock that goes through two of them: the wait for a lock is what ends it.
  const lockMs = Math.max(1, Math.floor(Math.min(options.lockMs, remainingMs)));
  // A caller that was cut off without a word holds locks on every node: they are let go soon after its deadline.
  const idle = Math.ceil(Math.min(idleMs.unbounded, remainingMs + idleMs.beyond));
  const settings = `set local lock_timeout to '${lockMs}ms'; set local idle_in_transaction_session_timeout to '${idle}ms'`;
  const [coordinator] = parts;
  const begun = parts.map(async (part) => {
    const { session, shards } = part;
    session.limitStatements(remainingMs);
    const schema = shards[0]?.schema ?? "";
    const starting =
      part === coordinator
        ? proof.begin(session, schema, settings)
        : session.begin(schema, settings).then(() => undefined);
    const checking = checkServer(session, quorum, onReplicaLoss === "degrade");
    checking.catch(() => {});
    const before = await starting;
    await checking;
    part.leases = leaseShards(session, uses, shards, request.openOutbox(part.node));
    return before;
  });
  // Not before all have answered: what is under way on one may not be rolled back behind its back.
  const answers = await Promise.allSettled(begun);
  for (const answer of answers) if (answer.status === "rejected") throw answer.reason;
  return answers.map((answer) => (answer.status === "fulfilled" ? answer.value : undefined))[0];
}

/** Sends what is published, each part on its own node, and does not go on before all of it is there. */
async function publishAll(parts: Parts): Promise<void> {
  for (const { session, leases } of parts) await leases?.outbox.send(session);
  const failures = await Promise.all(parts.map(({ leases }) => leases?.outbox.failure()));
  const failure = failures.find((one) => one !== undefined);
  if (failure) throw failure;
}

async function prepareAll<T>(
  { patience }: TogetherRequest<T>,
  id: string,
  coordinator: NodePart,
  others: readonly NodePart[],
): Promise<void> {
  const remainingMs = patience.call?.remainingMs() ?? Number.POSITIVE_INFINITY;
  const waitMs = Math.ceil(Math.min(preparingMs, remainingMs + idleMs.beyond));
  coordinator.session.push({ text: `set local idle_in_transaction_session_timeout to '${waitMs}ms'` });
  const participants = others.length;
  const preparing = others.map((part, index) => {
    part.gid = formatGid({ id, number: index + 1, participants, coordinator: coordinator.node });
    return prepare(part, part.gid);
  });
  const answers = await Promise.allSettled(preparing);
  for (const answer of answers) if (answer.status === "rejected") throw answer.reason;
}

async function abandon<T>(
  request: TogetherRequest<T>,
  parts: Parts,
  error: unknown,
  own: HoldfastError | undefined,
): Promise<Failed> {
  for (const { leases } of parts) leases?.end();
  const undone = await rollbackAll(request, parts);
  return { kind: "failed", error, own, undone: undone && isOwnAnswer(error, own) };
}

function txOf(parts: Parts, shard: number) {
  for (const { leases } of parts) {
    const tx = leases?.txOf(shard);
    if (tx) return tx;
  }
  return undefined;
}

function failureOf(parts: Parts): HoldfastError | undefined {
  return parts.find(({ leases }) => leases?.failure)?.leases?.failure;
}

/** Raises the call's session to the part's commit; to one beyond every replica when that is not known. */
async function noteCommit<T>(request: TogetherRequest<T>, part: NodePart): Promise<void> {
  const { nodes, clock, patience } = request;
  const { node, committed, leases } = part;
  if (!request.isTracked(node)) return;
  // Where it is not finished nobody is asked: the position would be one from before.
  const basis = {
    nodes,
    node,
    clock,
    patience: { ...patience, untilMs: clock.monotonicMs() },
    quorum: undefined,
  };
  await track(basis, committed, leases?.hasRead === true);
}

/** It had happened before: nobody knows whether whoever did it was told, nor whether all parts are finished. */
async function showBefore<T>(request: TogetherRequest<T>): Promise<void> {
  const { nodes, clock, patience, places } = request;
  const names = [...new Set(places.map(({ node }) => node))];
  const [coordinator] = names as [string];
  await request
    .quorumOf(coordinator)
    ?.prove(patience)
    .catch((error: unknown) => {
      throw unknownError(nodes.primary(coordinator), error);
    });
  await recoverInDoubt(nodes, clock, { quorumOf: (node) => request.quorumOf(node), graceMs: 0 });
  for (const node of names) {
    if (request.isTracked(node))
      await track({ nodes, node, clock, patience, quorum: undefined }, undefined, true);
  }
}
