/**
 * All or nothing: transfers (`transfer`, with an id and two legs) and what a last `read` found, when nothing was
 * under way any more, as `{ balances, legs: [[id, owner, cents], …] }`. An acknowledged transfer has both legs, a
 * failed one has none, an unknown one has both or none; and the balances add up to what the bank was opened with.
 */
import type { Operation, Witness, WitnessOperation } from "../../check/index.ts";
import type { RecordedChecker } from "./workload.ts";

const name = "all or nothing";
/** At most this many contradictions are told. */
const witnessesMax = 5;

export interface Transfer {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly cents: number;
}

export type Leg = readonly [id: string, owner: string, cents: number];

export interface BankAtRest {
  readonly balances: Readonly<Record<string, number>>;
  readonly legs: readonly Leg[];
}

/**
 * @param total what all accounts hold together
 * @param isForeign transfers that nobody recorded, by their ids: their coordinators were killed, so they may or may not be
 */
export function allOrNothing(
  total: number,
  isForeign: (id: string) => boolean = () => false,
): RecordedChecker {
  return {
    name,
    check(operations) {
      const read = operations.findLast(({ f, outcome }) => f === "read" && outcome === "ok");
      if (!read) {
        const reason = "nobody read the bank at the end";
        return { model: name, verdict: "unknown", reason, witnesses: [], operations: operations.length };
      }
      const transfers = operations.filter(({ f }) => f === "transfer");
      const witnesses = contradictions(transfers, read, total, isForeign).slice(0, witnessesMax);
      const verdict = witnesses.length > 0 ? "illegal" : "ok";
      return { model: name, verdict, witnesses, operations: operations.length };
    },
  };
}

function contradictions(
  transfers: readonly Operation[],
  read: Operation,
  total: number,
  isForeign: (id: string) => boolean,
): Witness[] {
  const { balances, legs } = read.output as BankAtRest;
  const witnesses: Witness[] = [];
  const tell = (anomaly: string, summary: string, ...involved: Operation[]) =>
    witnesses.push({ anomaly, summary, steps: [], operations: [...involved, read].map(shown), edges: [] });

  const found = new Map<string, Leg[]>();
  for (const leg of legs) found.set(leg[0], [...(found.get(leg[0]) ?? []), leg]);
  for (const operation of transfers) {
    const transfer = operation.input as Transfer;
    const { id } = transfer;
    const there = found.get(id) ?? [];
    found.delete(id);
    if (there.length === 1)
      tell("torn", `Of transfer ${id} one half was kept: ${there[0]?.[1]} by ${there[0]?.[2]}.`, operation);
    else if (there.length === 0 && operation.outcome === "ok")
      tell("lost", `Transfer ${id} was acknowledged, and is not there.`, operation);
    else if (there.length > 0 && operation.outcome === "fail")
      tell("failed-kept", `Transfer ${id} had failed, and is there.`, operation);
    if (there.length === 2 && !areHalvesOf(there, transfer))
      tell("wrong-legs", `Transfer ${id} has other halves than it was made of.`, operation);
  }
  for (const [id, there] of found) {
    if (!isForeign(id)) tell("phantom", `Transfer ${id} is there, and nobody made it.`);
    else if (there.length !== 2 || there.reduce((sum, [, , cents]) => sum + cents, 0) !== 0)
      tell("torn", `Of transfer ${id}, whose coordinator was killed, only a part was kept.`);
  }
  const sum = Object.values(balances).reduce((all, cents) => all + cents, 0);
  if (sum !== total)
    tell("wrong-total", `All accounts add up to ${sum}, and the bank was opened with ${total}.`);
  return witnesses;
}

function areHalvesOf(legs: readonly Leg[], { from, to, cents }: Transfer): boolean {
  const has = (owner: string, by: number) => legs.some((leg) => leg[1] === owner && leg[2] === by);
  return has(from, -cents) && has(to, cents);
}

function shown(operation: Operation): WitnessOperation {
  const { process, f, input, outcome, callIndex, callNs, returnNs } = operation;
  const transfer = input as Transfer;
  return {
    process,
    label:
      f === "read"
        ? "read the bank at rest"
        : `transfer ${transfer.id}: ${transfer.cents} from ${transfer.from} to ${transfer.to}`,
    outcome,
    callIndex,
    startNs: callNs,
    ...(Number.isFinite(returnNs) ? { endNs: returnNs } : {}),
    involved: true,
  };
}
