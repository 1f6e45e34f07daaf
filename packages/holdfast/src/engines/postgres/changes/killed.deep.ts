/** Relays that are killed at each step, on the embedded Postgres. */
import { killedRelays } from "./fixtures/killed-relays.ts";

killedRelays([
  ["claimed", 1],
  ["published", 1],
  ["slot-made", 1],
  ["begun", 1],
  ["exported", 1],
  ["rows-told", 1],
  ["streaming", 1],
  ["appending", 1],
  ["appended", 1],
  ["appending", 3],
  ["appended", 4],
  ["claimed", 1],
  ["appending", 7],
  ["appended", 9],
]);
