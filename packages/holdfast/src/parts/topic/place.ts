/** Places in a topic, as people and programs name them. */
import { types } from "node:util";
import type { Moment, TopicPlace } from "./port.ts";

export function isTime(place: TopicPlace): place is Moment {
  return typeof place === "object";
}

/** What is wrong with a place, if anything. */
export function placeProblem(field: string, place: unknown): string | undefined {
  const fits =
    place === "beginning" ||
    place === "now" ||
    (typeof place === "bigint" && place >= 0n) ||
    (types.isDate(place) && Number.isFinite(place.getTime()));
  if (fits) return undefined;
  const got = types.isDate(place) ? "an invalid Date" : String(place);
  return `${field} should be "beginning", "now", a Date, or the id of a message as a bigint, got ${got}`;
}
