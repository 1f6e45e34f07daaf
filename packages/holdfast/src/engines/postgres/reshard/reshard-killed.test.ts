/** The steps at which most can go wrong; `reshard-killed.deep.ts` has all of them. */
import { killedMoves } from "./fixtures/killed-moves.ts";

killedMoves([
  { killAt: "fence", when: "after", next: "abort" },
  { killAt: "leave", when: "after", next: "resume" },
  { killAt: "flip", when: "after", next: "resume" },
]);
