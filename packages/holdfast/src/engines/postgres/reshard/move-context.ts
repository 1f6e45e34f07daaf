/** What every action of a move works with. */
import type { Clock } from "../../../clock/index.ts";
import type { AnyDatabase } from "../../../parts/database/index.ts";
import type { DatabaseNodes } from "../nodes.ts";
import type { PgSession } from "../session.ts";
import type { MoveRecord } from "./move-record.ts";

export interface MoveContext {
  readonly declaration: AnyDatabase;
  readonly nodes: DatabaseNodes;
  readonly clock: Clock;
  readonly move: MoveRecord;
  readonly signal: AbortSignal | undefined;
  /** Makes sure that nobody else moves shards or migrates, also after a server has ended the connections for that. */
  hold(): Promise<void>;
  /** How far the copy is, in bytes. */
  copied(bytes: number, totalBytes: number): void;
}

export type OnSession = <T>(run: (session: PgSession) => Promise<T>) => Promise<T>;

export const onHome =
  ({ nodes }: MoveContext): OnSession =>
  (run) =>
    nodes.primary(nodes.home).use(run);
export const onSource =
  ({ nodes, move }: MoveContext): OnSession =>
  (run) =>
    nodes.primary(move.source).use(run);
export const onTarget =
  ({ nodes, move }: MoveContext): OnSession =>
  (run) =>
    nodes.primary(move.target).use(run);

/** A name as SQL. */
export function ident(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A string as SQL. */
export function literal(text: string): string {
  const escaped = text.replaceAll("\\", "\\\\").replaceAll("'", "''");
  return `E'${escaped}'`;
}

/** Looks again and again, `everyMs` apart, until `look` answers something. */
export async function lookUntil<T>(
  { clock, signal }: Pick<MoveContext, "clock" | "signal">,
  everyMs: number,
  look: () => Promise<T | undefined>,
): Promise<T> {
  for (;;) {
    signal?.throwIfAborted();
    const found = await look();
    if (found !== undefined) return found;
    await clock.sleep(everyMs, signal);
  }
}
