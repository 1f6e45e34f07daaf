/** What is told apart best; `reshard-faults.deep.ts` has more. */
import { faultyMoves } from "./fixtures/faulty-moves.ts";

faultyMoves({ crashes: [["target", "hand-over"]], failOvers: [["source", "verify"]] });
