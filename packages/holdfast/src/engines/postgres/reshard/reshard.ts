/**
 * Moving shards of a database between its nodes while they are used.
 *
 * One process at a time does it: it holds a lock on the home node, and ends the connections of whoever held it before,
 * so that one that was only paused cannot wake up and go on. Migrations are locked out meanwhile.
 */
import { HoldfastError } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import type { AnyDatabase } from "../../../parts/database/index.ts";
import { movesToEven } from "../../../placement/index.ts";
import type { DatabaseConfig } from "../config.ts";
import { installFramework } from "../install.ts";
import { migrateLock } from "../migrate-lock.ts";
import { type DatabaseNodes, openDatabaseNodes } from "../nodes.ts";
import type { PgSession } from "../session.ts";
import { adoptShardMap } from "../shard-map-adopt.ts";
import type { PlacedMap } from "../shard-place.ts";
import { type PlannedMove, serverProblems, shardProblems } from "./move-check.ts";
import type { MoveContext } from "./move-context.ts";
import { beginMove, changeMove, type MoveRecord, openMoves } from "./move-record.ts";
import { type DriveOptions, driveMove } from "./move-shard.ts";
import { flippedError, migratingError, nothingKeptError, otherError, refusedError } from "./reshard-error.ts";
import { appName, endPredecessors, Locks } from "./reshard-locks.ts";
import { reshardLock } from "./reshard-state.ts";

export interface ReshardOptions extends DriveOptions {
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

export interface ReshardRequest {
  /** Nodes that are to share the shards evenly. Default: all that are configured. */
  readonly nodes?: readonly string[];
  /** Only these; with one node in `nodes`, they all go there. */
  readonly shards?: readonly number[];
  /** Keep the old copies up to date, so that moves can be taken back. Default true. */
  readonly keep?: boolean;
}

export interface Resharder extends AsyncDisposable {
  readonly map: PlacedMap;
  /** Moves that are under way, or kept. */
  open(): Promise<MoveRecord[]>;
  /** What would be moved. @throws {HoldfastError} HOLDFAST_RESHARD_REFUSED for a request that makes no sense */
  plan(request: ReshardRequest): PlannedMove[];
  /** Everything that stands in the way of these moves. */
  problems(moves: readonly PlannedMove[]): Promise<string[]>;
  /** Goes on with what was begun, then does what is planned, one shard after the other. */
  move(request: ReshardRequest): Promise<MoveRecord[]>;
  /** Goes on with moves that were begun. */
  resume(): Promise<MoveRecord[]>;
  /** Gives up moves that the map does not show yet. */
  abort(): Promise<MoveRecord[]>;
  /** Takes moves back: the old node has the shard again, with everything that was written since. */
  back(shards?: readonly number[]): Promise<MoveRecord[]>;
  /** Throws the old copies away. */
  finish(shards?: readonly number[]): Promise<MoveRecord[]>;
  close(): Promise<void>;
}

/**
 * @throws {HoldfastError} HOLDFAST_RESHARD_REFUSED when another process moves shards of this database, or migrates it
 */
export async function openReshard(
  declaration: AnyDatabase,
  config: DatabaseConfig,
  options: ReshardOptions,
): Promise<Resharder> {
  const { clock } = options;
  const mine = `${appName} ${Buffer.from(clock.random.bytes(6)).toString("hex")}`;
  const nodes = openDatabaseNodes(config, { clock, applicationName: mine, poolSize: 6 });
  const locks = new Locks(nodes, clock, [
    { node: nodes.home, key: reshardLock, refused: () => otherError(declaration) },
    ...nodes.config.nodes.map(({ name }) => ({
      node: name,
      key: migrateLock,
      refused: () => migratingError(name),
      // Whoever held it and moved shards has lost the first lock, and may still be at work here.
      before: () => endPredecessors(nodes, name, mine, clock),
    })),
  ]);
  const close = async () => {
    locks.release();
    await nodes.close();
  };
  try {
    await installFramework(nodes);
    await adoptShardMap(nodes, declaration.options.shardCount);
    await locks.hold();
  } catch (error) {
    await close();
    throw error;
  }
  return resharder(declaration, nodes, options, locks, close);
}

function resharder(
  declaration: AnyDatabase,
  nodes: DatabaseNodes,
  options: ReshardOptions,
  locks: Locks,
  close: () => Promise<void>,
): Resharder {
  const { clock, signal } = options;
  const home = <T>(run: (session: PgSession) => Promise<T>) => nodes.primary(nodes.home).use(run);
  const drive = (move: MoveRecord): Promise<MoveRecord> => {
    const context: MoveContext = {
      declaration,
      nodes,
      clock,
      move,
      signal,
      hold: () => locks.hold(),
      copied: () => {},
    };
    return driveMove(context, options);
  };
  const driveAll = async (moves: readonly MoveRecord[]) => {
    const ended: MoveRecord[] = [];
    for (const move of moves) ended.push(await drive(move));
    return ended;
  };
  const moving = async () => (await home(openMoves)).filter(({ state }) => state === "moving");
  const kept = async (shards: readonly number[] | undefined) => {
    const all = (await home(openMoves)).filter(({ state }) => state === "kept");
    const wanted = shards ? all.filter(({ shard }) => shards.includes(shard)) : all;
    const missing = (shards ?? []).filter((shard) => !wanted.some((move) => move.shard === shard));
    if (missing.length > 0) throw nothingKeptError(missing);
    return wanted;
  };
  const problems = async (moves: readonly PlannedMove[]) => {
    const open = await home(openMoves);
    const found: string[] = [];
    const pairs = new Map(moves.map((move) => [`${move.source} ${move.target}`, move]));
    for (const move of pairs.values()) {
      found.push(...(await onBoth(nodes, move, (source, target) => serverProblems(source, target, move))));
    }
    for (const move of moves) {
      found.push(
        ...(await onBoth(nodes, move, (source, target) => shardProblems(source, target, move, open))),
      );
    }
    return [...new Set(found)];
  };
  const resume = async () => driveAll(await moving());

  return {
    get map() {
      return nodes.map.current;
    },
    open: () => home(openMoves),
    plan: (request) => planMoves(nodes, request),
    problems,
    async move(request) {
      const planned = planMoves(nodes, request);
      const ended = await resume();
      await nodes.map.refresh();
      const rest = planned.filter((move) => nodes.map.place(move.shard).schema === move.schema);
      for (const [index, move] of rest.entries()) {
        // Slots and kept copies add up: what is free is looked at before each.
        const found = await problems(index === 0 ? rest : [move]);
        if (found.length > 0) throw refusedError(rest, found);
        const record = await home((session) => beginMove(session, { ...move, keep: request.keep ?? true }));
        ended.push(await drive(record));
      }
      return ended;
    },
    resume,
    async abort() {
      const ended: MoveRecord[] = [];
      for (const move of await moving()) {
        const place = nodes.map.place(move.shard);
        if (place.schema === move.schemaAfter) throw flippedError(move);
        ended.push(await drive(await home((session) => changeMove(session, move.id, { intent: "abort" }))));
      }
      return ended;
    },
    async back(shards) {
      const ended = await resume();
      for (const old of (await kept(shards)).reverse()) {
        await refuseLost(nodes, old);
        const record = await home((session) =>
          beginMove(session, {
            shard: old.shard,
            source: old.target,
            target: old.source,
            schema: old.schemaAfter,
            keep: true,
            back: old,
          }),
        );
        const began = await beginningOf(nodes, record);
        const ready = await home((session) => changeMove(session, record.id, { data: began }));
        ended.push(await drive(ready));
      }
      return ended;
    },
    async finish(shards) {
      const ended = await resume();
      for (const move of await kept(shards)) {
        ended.push(await drive(await home((session) => changeMove(session, move.id, { intent: "finish" }))));
      }
      return ended;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Pure but for what is known of the map: shares differ by one at most, or all that were named go to one node. */
function planMoves(nodes: DatabaseNodes, { nodes: wanted, shards }: ReshardRequest): PlannedMove[] {
  const known = nodes.config.nodes.map(({ name }) => name);
  const { places, epoch } = nodes.map.current;
  const problems: string[] = [];
  for (const node of wanted ?? []) {
    if (!known.includes(node)) problems.push(`there is no node "${node}"; there are ${known.join(", ")}`);
  }
  for (const shard of shards ?? []) {
    if (!(Number.isInteger(shard) && shard >= 0 && shard < places.length))
      problems.push(`shards should be whole numbers from 0 to ${places.length - 1}, got ${shard}`);
  }
  if (shards && wanted?.length !== 1)
    problems.push("shards that are named go to one node: name it with --to");
  if (problems.length > 0) throw refusedError([], problems);
  const targets = wanted ?? known;
  const moves = shards
    ? [...new Set(shards)].map((shard) => ({ shard, to: targets[0] as string }))
    : movesToEven({ epoch, shards: places.map(({ node }) => node) }, targets);
  return moves.flatMap(({ shard, to }) => {
    const { node, schema } = nodes.map.place(shard);
    return node === to ? [] : [{ shard, source: node, target: to, schema }];
  });
}

function onBoth<T>(
  nodes: DatabaseNodes,
  { source, target }: Pick<PlannedMove, "source" | "target">,
  run: (source: PgSession, target: PgSession) => Promise<T>,
): Promise<T> {
  return nodes.primary(source).use((one) => nodes.primary(target).use((other) => run(one, other)));
}

async function beginningOf(nodes: DatabaseNodes, move: MoveRecord) {
  return onBoth(nodes, move, async (source, target) => ({
    made: true,
    began: {
      source: { system: source.facts.system, timeline: source.facts.timeline },
      target: { system: target.facts.system, timeline: target.facts.timeline },
    },
  }));
}

/** The way back has to be open before anything is changed for it. */
async function refuseLost(nodes: DatabaseNodes, old: MoveRecord): Promise<void> {
  const name = `${old.stream}_back`;
  const states = await onBoth(nodes, old, async (source, target) => {
    const { rows: slots } = await target.send<{ lost: boolean }>({
      text: "select coalesce(wal_status = 'lost', false) as lost from pg_replication_slots where slot_name = $1",
      values: [name],
    });
    const { rows: subscriptions } = await source.send<{ enabled: boolean }>({
      text: "select subenabled as enabled from pg_subscription where subname = $1",
      values: [name],
    });
    return { slot: slots[0] && !slots[0].lost, subscribed: subscriptions[0]?.enabled };
  });
  if (states.slot && states.subscribed) return;
  throw new HoldfastError(
    "HOLDFAST_RESHARD_REFUSED",
    `Move ${old.id} of shard ${old.shard} cannot be taken back: ${states.slot ? `the stream to ${old.source} has failed (a migration since, perhaps)` : `${old.target} has lost its place in the log (a failover, or too much was written while ${old.source} was away)`}. \`holdfast reshard --finish\`, then move the shard to ${old.source} with a fresh copy.`,
    { data: { move: old.id, shard: old.shard } },
  );
}
