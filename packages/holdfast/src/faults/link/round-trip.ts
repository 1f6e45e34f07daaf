/** One attempt through a link: bytes go to an echo at its other end, and come back, or do not. */
import { connect } from "node:net";
import type { Clock } from "../../clock/index.ts";

export type RoundTrip =
  | { readonly end: "answered"; readonly ms: number }
  /** Neither an answer nor an error within the bound. */
  | { readonly end: "silent" }
  | { readonly end: "failed"; readonly code: string };

export interface RoundTripOptions {
  readonly host: string;
  readonly port: number;
  /** How much is sent. Default 1. */
  readonly bytes?: number;
  /** How long to wait, in milliseconds. */
  readonly boundMs: number;
  /** Default: connecting is part of it. False measures from the moment of sending. */
  readonly withConnect?: boolean;
}

export function roundTrip(clock: Clock, options: RoundTripOptions): Promise<RoundTrip> {
  const { host, port, bytes = 1, boundMs, withConnect = true } = options;
  return new Promise((resolve) => {
    let startMs = clock.monotonicMs();
    let back = 0;
    const socket = connect({ host, port, noDelay: true });
    const done = (result: RoundTrip) => {
      late.cancel();
      socket.destroy();
      resolve(result);
    };
    const late = clock.timer(boundMs, () => done({ end: "silent" }), { ref: true });
    socket.on("connect", () => {
      if (!withConnect) startMs = clock.monotonicMs();
      socket.write(Buffer.alloc(bytes, 0x68));
    });
    socket.on("data", (piece) => {
      back += piece.length;
      if (back >= bytes) done({ end: "answered", ms: clock.monotonicMs() - startMs });
    });
    socket.on("error", (error: NodeJS.ErrnoException) =>
      done({ end: "failed", code: error.code ?? error.message }),
    );
    socket.on("end", () => done({ end: "failed", code: "closed" }));
  });
}
