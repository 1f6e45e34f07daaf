/**
 * Where each service's ready instances are, told to every gateway process at once when it changes. A gateway
 * process says which version it has taken: only then does an instance that is no longer on the board drain, so
 * that no request is sent to one that is leaving.
 */
import type { Clock } from "../clock/index.ts";
import type { Endpoints, ToChild } from "./messages.ts";

export interface BoardReader {
  send(message: ToChild): void;
}

export interface EndpointBoard {
  current(): Endpoints;
  publish(endpoints: Endpoints): void;
  /** Adds a gateway process; it has taken the current version with its start. @returns how to remove it */
  add(reader: BoardReader): () => void;
  taken(reader: BoardReader, version: number): void;
  /** Resolves when every gateway process has the latest version, or after `settleMsMax`. */
  settled(): Promise<void>;
}

/** A gateway process that says nothing for this long does not hold up the rest; its retries cover the gap. */
const settleMsMax = 1_000;

export function endpointBoard(clock: Clock): EndpointBoard {
  const readers = new Map<BoardReader, number>();
  const waiting = new Set<{ readonly version: number; readonly done: () => void }>();
  let version = 0;
  let endpoints: Endpoints = {};
  let shown = JSON.stringify(endpoints);

  const settle = () => {
    for (const waiter of waiting) {
      if ([...readers.values()].every((taken) => taken >= waiter.version)) waiter.done();
    }
  };

  return {
    current: () => endpoints,
    publish(next) {
      const text = JSON.stringify(next);
      if (text === shown) return;
      shown = text;
      endpoints = next;
      version++;
      for (const reader of readers.keys()) reader.send({ kind: "endpoints", version, endpoints });
    },
    add(reader) {
      readers.set(reader, version);
      return () => {
        readers.delete(reader);
        settle();
      };
    },
    taken(reader, taken) {
      if (readers.has(reader)) readers.set(reader, taken);
      settle();
    },
    settled() {
      return new Promise((resolve) => {
        const waiter = {
          version,
          done: () => {
            waiting.delete(waiter);
            timer.cancel();
            resolve();
          },
        };
        const timer = clock.timer(settleMsMax, waiter.done, { ref: true });
        waiting.add(waiter);
        settle();
      });
    },
  };
}
