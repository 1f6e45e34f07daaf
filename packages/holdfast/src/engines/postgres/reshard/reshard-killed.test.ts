/** The step at which most can go wrong; `reshard-killed.deep.ts` has all of them. */
import { killedMoves } from "./fixtures/killed-moves.ts";

killedMoves([{ killAt: "leave", when: "after", next: "resume" }]);
