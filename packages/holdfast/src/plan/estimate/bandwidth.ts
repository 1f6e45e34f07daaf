/** Bytes that come in and go out at the edge, on average and at the peak. */
import { add, exactly, type Interval, multiply } from "../models/interval.ts";
import type { OperationRate } from "./rates.ts";
import { type Sheet, term } from "./sheet.ts";

export interface Bandwidth {
  readonly in: Interval;
  readonly out: Interval;
}

/** @returns the averages of the whole system, in bytes a second */
export function estimateBandwidth(sheet: Sheet, rates: ReadonlyMap<string, OperationRate>): Bandwidth {
  const total = { in: exactly(0), out: exactly(0), peakIn: exactly(0), peakOut: exactly(0) };
  for (const { operation, average, peak } of rates.values()) {
    const { name, requestBytes, responseBytes } = operation;
    const line = (way: "in" | "out", bytes: Interval) => {
      const value = multiply(average, bytes);
      const how = `${term(average, "/s")} × ${term(bytes, "B")}`;
      sheet.put("bandwidth", `operations.${name}.bytes-${way}`, `${name}, ${way}`, value, "B/s", how);
      return value;
    };
    total.in = add(total.in, line("in", requestBytes));
    total.out = add(total.out, line("out", responseBytes));
    total.peakIn = add(total.peakIn, multiply(peak, requestBytes));
    total.peakOut = add(total.peakOut, multiply(peak, responseBytes));
  }
  const sum = (id: string, title: string, value: Interval, how: string) =>
    sheet.put("bandwidth", `total.${id}`, title, value, "B/s", how);
  sum("bytes-in", "all in, average", total.in, "the sum over operations");
  sum("bytes-out", "all out, average", total.out, "the sum over operations");
  sum("peak-bytes-in", "all in, peak", total.peakIn, "the sum over operations, each at its peak");
  sum("peak-bytes-out", "all out, peak", total.peakOut, "the sum over operations, each at its peak");
  return { in: total.in, out: total.out };
}
