/**
 * Whether a failed load says that its source could not be reached or did not answer. Only then may an old
 * value stand in: any other error is an answer ("forbidden", "disabled"), and the old value would contradict it.
 */
import { HoldfastError } from "../../call/index.ts";

const networkCode =
  /^(ECONN(REFUSED|RESET|ABORTED)|EPIPE|ETIMEDOUT|E(HOST|NET)UNREACH|ENOTFOUND|EAI_AGAIN|UND_ERR_.*)$/;

/** Time ran out, or everybody who waited left because of it: the source had its chance. */
const outOfTime: ReadonlySet<string> = new Set(["HOLDFAST_DEADLINE", "HOLDFAST_ABORTED"]);

export function isUnreachable(error: unknown): boolean {
  if (error instanceof HoldfastError) return !error.permanent || outOfTime.has(error.code);
  for (
    let cause: unknown = error, depth = 0;
    cause instanceof Error && depth < 5;
    cause = cause.cause, depth++
  ) {
    if ("code" in cause && networkCode.test(String(cause.code))) return true;
  }
  return false;
}
