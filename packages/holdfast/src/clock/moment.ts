/** A moment in wall time, as callers give one: a Date, or milliseconds since the epoch. */
export type Moment = Date | number;

/** @returns milliseconds since the epoch; NaN for what is no moment */
export function momentMs(moment: Moment): number {
  if (typeof moment === "number") return moment;
  return moment instanceof Date ? moment.getTime() : Number.NaN;
}
