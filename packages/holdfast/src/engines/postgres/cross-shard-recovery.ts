/**
 * Recovery of transactions across nodes whose coordinator has gone: what was decided is committed everywhere, what
 * was not is rolled back everywhere, and decisions that everybody has confirmed are forgotten.
 *
 * Any process may do it, any number at the same time, and while coordinators are at work: one that is holds its
 * lock, and a part that somebody else has finished is not there any more. Nothing is decided here; it is only found
 * out, at the one place that has the decision, and believed only of a primary that its quorum acknowledges
 * afterwards. One that was cut off and replaced would answer from the past.
 */
import { HoldfastError } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import { askDecision } from "./cross-shard-decision.ts";
import { formatGid, type GlobalId, parseGid } from "./cross-shard-gid.ts";
import { finishPrepared } from "./cross-shard-part.ts";
import type { DatabaseNodes } from "./nodes.ts";
import { type Patience, patienceOf } from "./pool-lease.ts";
import type { QuorumProof } from "./quorum-proof.ts";
import { checkPrimary } from "./read-position.ts";
import type { PgSession } from "./session.ts";
import { sqlStateOf } from "./session-error.ts";
import { askWithin } from "./session-watch.ts";

export interface RecoveryOptions {
  /** Of a synchronous database; without, a primary is believed as it is. */
  quorumOf(node: string): QuorumProof | undefined;
  /** Age, by its server's clock, from which a part is looked into, in milliseconds. Default 2_000. */
  readonly graceMs?: number;
}

/** A prepared transaction that is still there after a round of recovery. */
export interface InDoubt {
  readonly node: string;
  readonly gid: string;
  readonly ageMs: number;
  /** Why it is still there. */
  readonly why: "young" | "under-way" | "unreachable" | "not-permitted" | "foreign";
  /** Name of the node that has the decision; `undefined` for what is not Holdfast's. */
  readonly coordinator: string | undefined;
}

export interface RecoveryRound {
  readonly committed: readonly string[];
  readonly rolledBack: readonly string[];
  /** Decisions that nobody needs any more. */
  readonly forgotten: number;
  readonly inDoubt: readonly InDoubt[];
  /** Nodes that did not answer. */
  readonly unreachable: readonly string[];
}

export const recoveryDefaults = { graceMs: 2_000 } as const;

interface Prepared {
  readonly node: string;
  readonly gid: string;
  readonly ageMs: number;
  readonly parsed: GlobalId | undefined;
  /** Whether this role may finish it. */
  readonly ours: boolean;
  /** Whether this role may look for the decision. */
  readonly judges: boolean;
}

interface Decision {
  readonly id: string;
  readonly participants: readonly string[];
}

/** One round over all nodes. Does not reject: a node that is away is looked at in the next round. */
export async function recoverInDoubt(
  nodes: DatabaseNodes,
  clock: Clock,
  options: RecoveryOptions,
): Promise<RecoveryRound> {
  const round = { ...emptyRound() };
  const graceMs = options.graceMs ?? recoveryDefaults.graceMs;
  const looks = await Promise.all(
    nodes.config.nodes.map(async ({ name }) => {
      try {
        return await on(nodes, name, clock, (session) => look(session, name, graceMs));
      } catch {
        round.unreachable.push(name);
        return undefined;
      }
    }),
  );
  const found = looks.flatMap((looked) => looked?.prepared ?? []);
  const verdicts = new Map<string, Promise<Verdict>>();
  await Promise.all(
    found.map(async (prepared) => {
      const left = await settlePrepared(nodes, clock, options, graceMs, prepared, verdicts, round);
      if (left) round.inDoubt.push(left);
    }),
  );
  for (const [index, looked] of looks.entries()) {
    const coordinator = nodes.config.nodes[index]?.name;
    if (!looked || coordinator === undefined) continue;
    for (const decision of looked.decisions) {
      if (await forgetConfirmed(nodes, clock, options, coordinator, decision, found)) round.forgotten++;
    }
  }
  return round;
}

function emptyRound() {
  return {
    committed: [] as string[],
    rolledBack: [] as string[],
    forgotten: 0,
    inDoubt: [] as InDoubt[],
    unreachable: [] as string[],
  };
}

/** What is prepared in this database, and which decisions are old enough to be looked after. */
async function look(
  session: PgSession,
  node: string,
  graceMs: number,
): Promise<{ readonly prepared: readonly Prepared[]; readonly decisions: readonly Decision[] }> {
  const asked = session.send<{ gid: string; age: number; ours: boolean }>({
    text: `select gid, (extract(epoch from clock_timestamp() - prepared) * 1000)::float8 as age,
        owner = current_user or (select rolsuper from pg_roles where rolname = current_user) as ours
      from pg_prepared_xacts where database = current_database() order by prepared`,
  });
  const allowed = session.send<{ writes: boolean | null }>({
    text: "select has_table_privilege(to_regclass('holdfast.decision'), 'delete') as writes",
  });
  allowed.catch(() => {});
  const toPrepared = ({ gid, age, ours }: { gid: string; age: number; ours: boolean }, judges: boolean) => ({
    node,
    gid,
    ageMs: Math.max(0, Math.round(age)),
    parsed: parseGid(gid),
    ours,
    judges,
  });
  const { rows } = await asked;
  const writes = (await allowed).rows[0]?.writes;
  // A role that may only read has nothing to recover, and would fill the server's log with refusals.
  if (writes === false) return { prepared: rows.map((row) => toPrepared(row, false)), decisions: [] };
  const decided = session.send<Decision>({
    text: `select id::text as id, participants from holdfast.decision
      where decided_at <= clock_timestamp() - $1::float8 * interval '1 millisecond' limit 1000`,
    values: [graceMs],
  });
  const decisions = (await decided.catch(noTable)).rows;
  return { prepared: rows.map((row) => toPrepared(row, true)), decisions };
}

/** A database that was never migrated by this version has decided nothing. */
function noTable(error: unknown): { readonly rows: readonly Decision[] } {
  if (sqlStateOf(error) === "42P01") return { rows: [] };
  throw error;
}

type Verdict = "commit" | "rollback" | "under-way" | "unreachable";

async function settlePrepared(
  nodes: DatabaseNodes,
  clock: Clock,
  options: RecoveryOptions,
  graceMs: number,
  prepared: Prepared,
  verdicts: Map<string, Promise<Verdict>>,
  round: ReturnType<typeof emptyRound>,
): Promise<InDoubt | undefined> {
  const { node, gid, ageMs, parsed } = prepared;
  const left = (why: InDoubt["why"]): InDoubt => ({
    node,
    gid,
    ageMs,
    why,
    coordinator: parsed?.coordinator,
  });
  if (!parsed) return left("foreign");
  if (ageMs < graceMs) return left("young");
  if (!prepared.judges) return left("not-permitted");
  let asked = verdicts.get(parsed.id);
  if (!asked) {
    asked = judge(nodes, clock, options, parsed);
    verdicts.set(parsed.id, asked);
  }
  const verdict = await asked;
  if (verdict === "under-way" || verdict === "unreachable") return left(verdict);
  if (!prepared.ours) return left("not-permitted");
  try {
    const finished = await on(nodes, node, clock, (session) => finishPrepared(session, verdict, gid));
    if (finished.kind === "pending") return left("unreachable");
    if (finished.kind === "done") (verdict === "commit" ? round.committed : round.rolledBack).push(gid);
    return undefined;
  } catch (error) {
    const state = sqlStateOf(error);
    // 42501: only its own role, or a superuser, may finish it. 55000: somebody is at it.
    return left(state === "42501" ? "not-permitted" : state === "55000" ? "under-way" : "unreachable");
  }
}

/** Asks the coordinator's node, and has its quorum confirm that it is the one to ask. */
async function judge(
  nodes: DatabaseNodes,
  clock: Clock,
  { quorumOf }: RecoveryOptions,
  { id, coordinator }: GlobalId,
): Promise<Verdict> {
  if (!nodes.config.nodes.some(({ name }) => name === coordinator)) return "unreachable";
  try {
    const committed = await on(nodes, coordinator, clock, (session) => askDecision(session, id));
    if (committed === undefined) return "under-way";
    await quorumOf(coordinator)?.prove(patienceOf(undefined, clock));
    return committed ? "commit" : "rollback";
  } catch {
    return "unreachable";
  }
}

/** Every participant has confirmed when none of them has a part any more, and its quorum knows that. */
async function forgetConfirmed(
  nodes: DatabaseNodes,
  clock: Clock,
  { quorumOf }: RecoveryOptions,
  coordinator: string,
  { id, participants }: Decision,
  found: readonly Prepared[],
): Promise<boolean> {
  if (found.some(({ parsed }) => parsed?.id === id)) return false;
  try {
    await Promise.all(
      participants.map(async (node, index) => {
        const gid = formatGid({ id, number: index + 1, participants: participants.length, coordinator });
        const { rowCount } = await on(nodes, node, clock, (session) =>
          session.send({ text: "select from pg_prepared_xacts where gid = $1", values: [gid] }),
        );
        if (rowCount !== 0) throw new Error(`${gid} is still prepared on ${node}`);
        await quorumOf(node)?.prove(patienceOf(undefined, clock));
      }),
    );
    const { rowCount } = await on(nodes, coordinator, clock, async (session) => {
      session.push({ text: "begin read write" });
      const deleted = session.send({ text: "delete from holdfast.decision where id = $1", values: [id] });
      const committed = session.send({ text: "commit" });
      committed.catch(() => session.taint());
      await committed;
      return deleted;
    });
    return rowCount === 1;
  } catch {
    return false;
  }
}

/** On a session with the node's primary; refused on a standby, or one that has been replaced. */
function on<T>(
  nodes: DatabaseNodes,
  node: string,
  clock: Clock,
  run: (session: PgSession) => Promise<T>,
): Promise<T> {
  if (!nodes.config.nodes.some(({ name }) => name === node))
    throw new HoldfastError("HOLDFAST_UNAVAILABLE", `There is no node "${node}" in the configuration.`);
  const pool = nodes.primary(node);
  const patience: Patience = { untilMs: clock.monotonicMs() + askMsMax, call: undefined };
  return pool.use(async (session) => {
    await checkPrimary(pool, session, undefined, nodes);
    return askWithin(session, patience, clock, run);
  }, patience);
}

/** How long a server may take to answer a question of recovery, in milliseconds. */
const askMsMax = 5_000;
