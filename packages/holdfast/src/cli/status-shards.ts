/** The part of `holdfast status` that says where shards are, and what is being moved. */
import type { MoveStatus, ShardsStatus } from "../runtime/status.ts";
import { ranges } from "./reshard-report.ts";
import { textTable } from "./table.ts";

export function shardLines(databases: readonly ShardsStatus[]): string[] {
  const rows = databases.flatMap(({ database, epoch, nodes }) =>
    Object.entries(nodes).map(([node, shards]) => [
      database,
      node,
      String(shards.length),
      ranges(shards) || "none",
      epoch === undefined ? "not known: the home node does not answer" : String(epoch),
    ]),
  );
  const lines = textTable(["DATABASE", "NODE", "SHARDS", "WHICH", "MAP EPOCH"], rows);
  const moves = databases.flatMap(({ database, moves }) => moves.map((move) => ({ database, move })));
  const kept = moves.filter(({ move }) => move.state === "kept");
  for (const { database, move } of moves) if (move.state !== "kept") lines.push("", moveLine(database, move));
  for (const { name, shards } of byDatabase(kept)) {
    lines.push(
      "",
      `${name}: moves of shard ${ranges(shards)} can be taken back (holdfast reshard --back) until they are finished (--finish).`,
    );
  }
  return lines;
}

function moveLine(database: string, move: MoveStatus): string {
  const what = move.intent === "abort" ? "being given up" : `moving from ${move.source} to ${move.target}`;
  const line = `${database}: shard ${move.shard} is ${what}, at "${move.step}" (move ${move.id}).`;
  if (move.state === "moving") return line;
  const why = move.error ? ` It stopped: ${move.error.split("\n")[0]}` : "";
  return `${line} Nobody works on it: \`holdfast reshard\` goes on, \`holdfast reshard --abort\` gives it up.${why}`;
}

function byDatabase(moves: readonly { readonly database: string; readonly move: MoveStatus }[]) {
  const names = [...new Set(moves.map(({ database }) => database))];
  return names.map((name) => ({
    name,
    shards: moves
      .filter(({ database }) => database === name)
      .map(({ move }) => move.shard)
      .sort((a, b) => a - b),
  }));
}
