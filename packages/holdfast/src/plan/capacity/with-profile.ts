/** The shipped table with what a machine was measured to do in it: measured figures replace shipped ones, by id. */
import type { MachineProfile, ProfileFigure } from "../../load/profile/index.ts";
import {
  type Capacity,
  type CapacityId,
  type CapacityTable,
  capacityIds,
  checkCapacities,
} from "./capacity.ts";

/** @throws {RangeError} when a measured figure makes no sense beside its shipped one, such as in another unit */
export function withProfile(
  table: CapacityTable,
  { figures, machine, takenAt }: MachineProfile,
): CapacityTable {
  const known: ReadonlySet<string> = new Set(capacityIds);
  const measured = new Map(figures.filter(({ id }) => known.has(id)).map((figure) => [figure.id, figure]));
  const of = (id: CapacityId): Capacity => {
    const figure = measured.get(id);
    return figure ? replaced(table.capacities[id], figure, takenAt) : table.capacities[id];
  };
  return checkCapacities({
    title: `a profile of this machine (${machine.cores} × ${machine.processor}, ${takenAt.slice(0, 10)}) for ${measured.size === 1 ? "1 figure" : `${measured.size} figures`}, the shipped table for the other ${capacityIds.length - measured.size}`,
    capacities: Object.fromEntries(capacityIds.map((id) => [id, of(id)])) as Record<CapacityId, Capacity>,
  });
}

function replaced(shipped: Capacity, figure: ProfileFigure, takenAt: string): Capacity {
  if (figure.unit !== shipped.unit)
    throw new RangeError(`${figure.id} is measured in ${figure.unit}, and a plan reckons in ${shipped.unit}`);
  return {
    ...shipped,
    low: figure.low,
    mid: figure.median,
    high: figure.high,
    source: `measured here, ${takenAt.slice(0, 10)}, ${figure.rounds === 1 ? "once" : `median of ${figure.rounds} rounds`}: ${figure.how}`,
    origin: "measured",
  };
}
