/** Debian's Postgres 15, the oldest that is supported: moves that are killed, gone on with, given up and taken back. */
import { killedMoves } from "./fixtures/killed-moves.ts";

killedMoves(
  [
    { killAt: "copy", when: "before", next: "abort" },
    { killAt: "verify", when: "after", next: "resume" },
    { killAt: "fence", when: "after", next: "abort" },
    { killAt: "leave", when: "after", next: "resume" },
    { killAt: "flip", when: "after", next: "resume" },
    { killAt: "stream-back", when: "before", next: "resume" },
  ],
  15,
);
