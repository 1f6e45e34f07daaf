/**
 * What the processes of a system warn of, gathered: each warning once, with the instances that see it. One that no
 * process sees any more (its code was changed, an index was added) is gone.
 */
import { type DevelopmentWarning, identityOf } from "../engines/postgres/warnings/warning.ts";

export interface WarningStatus extends DevelopmentWarning {
  /** Names of the instances that told it. */
  readonly instances: readonly string[];
}

export interface WarningBoard {
  /** @returns whether nobody has told it since the board was made: then people should hear of it */
  add(instance: string, warning: DevelopmentWarning): boolean;
  /** A new process is in the instance's place: it tells by itself what it sees. */
  forget(instance: string): void;
  list(): WarningStatus[];
}

/** Beyond it the oldest goes. */
const warningsMax = 200;

export function warningBoard(): WarningBoard {
  const heard = new Set<string>();
  const board = new Map<string, { readonly warning: DevelopmentWarning; readonly instances: Set<string> }>();
  return {
    add(instance, warning) {
      const identity = identityOf(warning);
      const known = board.get(identity);
      const instances = known?.instances ?? new Set<string>();
      instances.add(instance);
      board.set(identity, { warning, instances });
      const [oldest] = board.keys();
      if (board.size > warningsMax && oldest !== undefined) board.delete(oldest);
      const first = !heard.has(identity);
      // Hot keys change: a set of those that were heard of must not grow for ever.
      if (heard.size >= 10 * warningsMax) heard.clear();
      heard.add(identity);
      return first;
    },
    forget(instance) {
      for (const [identity, { instances }] of board) {
        instances.delete(instance);
        if (instances.size === 0) board.delete(identity);
      }
    },
    list: () =>
      [...board.values()].map(({ warning, instances }) => ({ ...warning, instances: [...instances].sort() })),
  };
}

/** For a terminal: the code, by which it can be looked up, and the sentence. */
export function warningText({ code, message }: DevelopmentWarning): string {
  return `${code}: ${message}`;
}
