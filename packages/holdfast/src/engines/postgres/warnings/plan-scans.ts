/**
 * Finds in a plan what reads a table from end to end. Pure. The plan was made with sequential scans, and joins
 * that read whole sides, discouraged: for small tables the planner rightly prefers them, so only a scan that is left
 * then says that no index serves. An index that is read without a condition is such a scan, too.
 *
 * @see https://www.postgresql.org/docs/current/using-explain.html
 */
export interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly Alias?: string;
  readonly "Index Name"?: string;
  readonly "Index Cond"?: string;
  readonly "Order By"?: string;
  readonly Filter?: string;
  readonly "Join Filter"?: string;
  readonly Plans?: readonly PlanNode[];
}

export interface Scan {
  readonly table: string;
  /** What the statement calls it. */
  readonly alias: string;
  /** What it looks for, in the words of EXPLAIN; `undefined`: nothing, it reads the table. */
  readonly filter: string | undefined;
  /** The filter is what joins it to another table: with an index for it, it may still be the one that is read. */
  readonly joins: boolean;
  /** The index that is read from end to end, where it is one. */
  readonly index: string | undefined;
}

/** They need all rows below them before they give the first. */
const takesAll = new Set(["Sort", "Aggregate", "Hash", "SetOp", "WindowAgg", "Materialize", "ModifyTable"]);

export function planScans(plan: PlanNode): Scan[] {
  const scans: Scan[] = [];
  const visit = (node: PlanNode, limited: boolean, joinedBy?: string): void => {
    const type = node["Node Type"];
    const table = node["Relation Name"];
    // A bitmap may be of a whole index, too.
    const source = type === "Bitmap Heap Scan" ? node.Plans?.[0] : node;
    const index = source?.["Index Name"];
    const whole =
      type === "Seq Scan" || (index !== undefined && !source?.["Index Cond"] && !source?.["Order By"]);
    const filter = node.Filter ?? joinedBy;
    // Behind a limit it stops early: always without a filter, and in the order of an index as likely as not.
    const stopsEarly = limited && (filter === undefined || index !== undefined);
    if (table !== undefined && whole && !stopsEarly)
      scans.push({
        table,
        alias: node.Alias ?? table,
        filter,
        joins: filter !== undefined && node.Filter === undefined,
        index,
      });
    const below = type === "Limit" || (limited && !takesAll.has(type));
    // What joins two sides is what either could be looked up by.
    for (const child of node.Plans ?? []) visit(child, below, node["Join Filter"]);
  };
  visit(plan, false);
  return scans;
}
