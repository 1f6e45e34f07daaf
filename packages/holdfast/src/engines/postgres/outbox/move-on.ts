/**
 * Moves what one source has for one destination: reads a window at the source, and appends it at the destination's
 * home, with the cursor, in one transaction.
 *
 * | what went wrong                                  | then                                                  |
 * |--------------------------------------------------|-------------------------------------------------------|
 * | the relay dies anywhere                          | nothing, or all of the transaction; another goes on   |
 * | COMMIT at home without an answer                 | the cursor is read again, and says what happened      |
 * | two relays                                       | the second finds the cursor moved, and rolls back     |
 * | the home fails over, and loses the newest        | its older cursor has them moved again, from the source|
 * | the source fails over, or crashes                | the cursor's tick is there, or the source is read anew|
 * |                                                  | from the newest tick that is, but for what has come   |
 * | a transaction that was moved is lost at the source| only with asynchronous replication; it stays moved    |
 */
import { HoldfastError, type LogPosition, Session } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import { flushed } from "../log-transaction.ts";
import { drawMarkerId } from "../marker.ts";
import type { PgSession } from "../session.ts";
import { type Cursor, moveCursor, readCursor, readSeen, readTicks, type SourceMessage } from "./cursor.ts";
import type { OutboxDestination } from "./destination.ts";
import { type HeldEnv, heldPlaces, hold, Places, release, sourceName, type UseSession } from "./held.ts";
import { destinationName } from "./outbox-sql.ts";
import { findGround, readWindow, type Window } from "./source.ts";

/** How long the transaction at home waits for the keys of publishers, in milliseconds. They are short. */
const lockTimeoutMs = 2_000;

export interface RouteEnv {
  readonly database: string;
  readonly node: string;
  readonly nodes: HeldEnv["nodes"];
  readonly destination: OutboxDestination;
  /** Sessions of the destination's home primary. */
  readonly home: UseSession;
  /** Sessions of a primary of the database. */
  source(node: string): UseSession;
  readonly clock: Clock;
}

/** From one source to one destination. */
export class OutboxRoute {
  readonly name: string;
  readonly source: string;
  readonly destination: OutboxDestination;
  readonly #env: RouteEnv;
  readonly #places: Places;
  #cursor: Cursor | undefined;
  #holds = false;

  constructor(env: RouteEnv) {
    this.#env = env;
    this.destination = env.destination;
    this.name = destinationName(env.destination);
    this.source = sourceName(env.database, env.node);
    this.#places = new Places({ ...env, destination: this.name });
  }

  /** The cursor, as this process read it last; read at home when it is not known. */
  async cursor(): Promise<Cursor> {
    if (this.#cursor) return this.#cursor;
    const { cursor, held } = await this.standing();
    this.#holds = held > 0;
    this.#cursor = cursor;
    return cursor;
  }

  /** The cursor, when this process knows it. */
  get known(): Cursor | undefined {
    return this.#cursor;
  }

  /** Reads the cursor anew. @returns that nothing was moved */
  async refresh(): Promise<number> {
    this.#cursor = undefined;
    await this.cursor();
    return 0;
  }

  /** How far it is, as the home has it now. */
  standing(): Promise<{ readonly cursor: Cursor; readonly held: number }> {
    return this.#env.home((session) => readCursor(session, this.source, this.name));
  }

  /** Whether something waits for the old place of its shard. */
  get holds(): boolean {
    return this.#holds;
  }

  /** Moves one batch. @returns how many messages; 0 when there was nothing, or another relay was faster */
  async moveBatch(): Promise<number> {
    const { node, source, destination, clock } = this.#env;
    let was = await this.cursor();
    // Whatever goes wrong from here on: it is read again when it is next needed.
    this.#cursor = undefined;
    let ground = was;
    let window = await source(node)((session) => readWindow(session, this.name, was, drawMarkerId(clock)));
    if (window === "lost") {
      const home = await this.#env.home(async (session) => ({
        was: (await readCursor(session, this.source, this.name)).cursor,
        ticks: await readTicks(session, this.source, this.name),
      }));
      was = home.was;
      const found = await source(node)((session) => findGround(session, home.ticks));
      ground = { ...was, ...found, after: "0", more: false };
      window = await source(node)((session) => readWindow(session, this.name, ground, drawMarkerId(clock)));
    }
    if (window === "lost") return 0;
    if (window === undefined) {
      // Still as it was read. Where it is not believed, it is looked at anew.
      if (ground === was) this.#cursor = was;
      return 0;
    }
    await destination.open();
    return this.#append(was, ground, window);
  }

  async #append(was: Cursor, ground: Cursor, window: Window): Promise<number> {
    const { destination, clock, home } = this.#env;
    const { messages } = window;
    const free = new Set<string>();
    for (const place of new Set(messages.map((message) => message.place))) {
      if (await this.#places.isFree(place)) free.add(place);
    }
    const id = drawMarkerId(clock);
    const next: Cursor & { id: string; tick: string } = {
      seq: was.seq + 1,
      id,
      tick: window.tick,
      from: window.from,
      to: window.to,
      after: messages.at(-1)?.position ?? "0",
      more: window.more,
      recheck: ground.recheck,
    };
    const moved = await home((session) =>
      inTransaction(session, async () => {
        const fresh = await this.#withoutSeen(session, ground, messages);
        const move = {
          source: this.source,
          destination: this.name,
          was,
          next,
          ids: fresh.map((message) => message.id),
          newestAt: window.newestAt,
        };
        const asked = [moveCursor(session, move), heldPlaces(session, this.source, this.name)] as const;
        const [isMoved, held] = await Promise.all(asked);
        if (!isMoved) return undefined;
        const waits = ({ place }: SourceMessage) => !free.has(place) || held.has(place);
        const told = fresh.map((message) => withPosition(message, this.#env.node, window.position));
        const aside = told.filter(waits);
        hold(session, this.source, this.name, aside);
        const sent = told.filter((message) => !waits(message));
        if (sent.length > 0) await destination.append(session, sent);
        return { count: fresh.length, holds: held.size > 0 || aside.length > 0 };
      }),
    );
    if (!moved) return 0;
    destination.appended();
    this.#holds = moved.holds;
    this.#cursor = next;
    return messages.length;
  }

  /** Without those that came before, where the source is read anew. */
  async #withoutSeen(
    session: PgSession,
    { recheck }: Cursor,
    messages: readonly SourceMessage[],
  ): Promise<readonly SourceMessage[]> {
    const doubted = recheck
      ? messages.filter(({ position }) => BigInt(position) <= BigInt(recheck.position))
      : [];
    if (!recheck || doubted.length === 0) return messages;
    const ids = doubted.map((message) => message.id);
    const seen = await readSeen(session, this.source, this.name, recheck.seq, ids);
    return messages.filter((message) => !seen.has(message.id));
  }

  /** Moves what was held and is free by now. @returns how many messages */
  async releaseHeld(): Promise<number> {
    const { home, destination } = this.#env;
    const places = await home((session) => heldPlaces(session, this.source, this.name));
    let count = 0;
    let left = false;
    for (const place of places) {
      if (!(await this.#places.isFree(place))) {
        left = true;
        continue;
      }
      await destination.open();
      for (;;) {
        const released = await home((session) =>
          inTransaction(session, async () => {
            const messages = await release(session, this.source, this.name, place);
            if (messages.length > 0) await destination.append(session, messages);
            return messages.length;
          }),
        );
        if (!released) break;
        count += released;
        destination.appended();
      }
    }
    this.#holds = left;
    return count;
  }
}

/** The consumer's session is to see what was committed with the message: it knows where on its node that is. */
function withPosition(message: SourceMessage, node: string, position: LogPosition): SourceMessage {
  const session = (message.session && Session.decode(message.session)) || new Session();
  session.raise(node, position, "written");
  let encoded = message.session;
  try {
    encoded = session.encode();
  } catch {
    // It knows as many nodes as can travel: what it knew stays.
  }
  return { ...message, session: encoded };
}

/**
 * A READ WRITE transaction at home, whose commit waits for the disk.
 *
 * @returns `undefined`, and rolled back, when `run` answers that
 */
async function inTransaction<T>(
  session: PgSession,
  run: () => Promise<T | undefined>,
): Promise<T | undefined> {
  session.push({ text: `begin read write; set local lock_timeout = ${lockTimeoutMs}; ${flushed}` });
  let value: T | undefined;
  try {
    value = await run();
    if (value === undefined) {
      await session.send({ text: "rollback" });
      return undefined;
    }
  } catch (error) {
    session.push({ text: "rollback" });
    session.taint();
    throw error;
  }
  let ended: { readonly command: string };
  try {
    ended = await session.send({ text: "commit" });
  } catch (error) {
    session.taint();
    throw error;
  }
  if (ended.command !== "COMMIT") throw rolledBackError(session.where);
  return value;
}

function rolledBackError(where: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_SQL_ERROR",
    `${where}: a transaction of the outbox's relay was rolled back. It is tried again.`,
  );
}
