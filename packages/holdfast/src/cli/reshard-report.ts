/** What `holdfast reshard` says while it moves, and of what was moved. */
import type { MoveProgress, MoveRecord, PlannedMove } from "../runtime/reshard-system.ts";
import type { CommandIo } from "./command.ts";
import type { ProgressLine } from "./progress.ts";
import { size, textTable } from "./table.ts";

export interface ReshardReporter {
  readonly json: boolean;
  step(text: string): void;
  say(text: string): void;
  /** How many moves there are to be. */
  total(moves: number): void;
  progress(progress: MoveProgress): void;
  done(): void;
}

/** In words of the field: what people see while an action goes on. */
const doing: Readonly<Record<string, string>> = {
  "make-schema": "making its schema",
  publish: "publishing its tables",
  "make-slot": "opening a slot, once the transactions that run now have ended",
  subscribe: "beginning the copy",
  copy: "copying",
  verify: "comparing every row",
  "prepare-way-back": "preparing the way back",
  fence: "refusing writes",
  drain: "waiting for the last writes",
  "hand-over": "handing over",
  leave: "leaving the old place",
  flip: "writing the map",
  "drop-forward": "ending the copy's stream",
  "stream-back": "keeping the old copy up to date",
  "drop-way-back": "ending the stream to the old copy",
  "drop-old": "throwing the old copy away",
  unfence: "letting writers in again",
  clear: "clearing the copy away",
};

/** A progress event a second is enough for programs. */
const bytesStep = 1 << 20;

export function reshardReporter(io: CommandIo, json: boolean, line: ProgressLine): ReshardReporter {
  let total = 1;
  const seen = new Map<number, string>();
  let told = -1;
  let current: MoveProgress["move"] | undefined;
  const finishLine = () => {
    if (current && !json) line.line(movedLine(current));
    current = undefined;
  };
  return {
    json,
    step: (text) => (json ? undefined : line.step(text)),
    say: (text) => line.line(text),
    total(moves) {
      total = moves;
    },
    progress({ move, action, bytes, totalBytes }) {
      if (current && current.id !== move.id) finishLine();
      current = move;
      const isNew = seen.get(move.id) !== action;
      seen.set(move.id, action);
      if (json) {
        if (!isNew && bytes - told < bytesStep && bytes !== totalBytes) return;
        told = bytes;
        const { id, shard, source, target } = move;
        io.out(JSON.stringify({ event: "step", move: id, shard, source, target, action, bytes, totalBytes }));
        return;
      }
      if (action === ended(move)) return;
      const number = `${Math.min(seen.size, Math.max(total, seen.size))} of ${Math.max(total, seen.size)}`;
      const far = totalBytes > 0 ? ` ${size(bytes)} of ${size(totalBytes)}` : "";
      line.step(
        `Shard ${move.shard}, ${move.source} to ${move.target} (${number}): ${doing[action] ?? action}${far}`,
      );
    },
    done() {
      finishLine();
      line.done();
    },
  };
}

function ended(move: MoveRecord): string | undefined {
  return move.state === "moving" ? undefined : move.state;
}

/** One move, when it is over or has stopped. */
export function movedLine(move: MoveRecord): string {
  const { data } = move;
  const way = `Shard ${move.shard}  ${move.source} → ${move.target}`;
  if (move.state === "moving") return `${way}  stopped at ${move.step}`;
  if (move.state === "aborted") return `${way}  given up; ${move.source} goes on serving it`;
  if (move.state === "finished" && move.intent === "finish") return `${way}  finished: the old copy is gone`;
  const facts = [
    data.bytes === undefined
      ? undefined
      : `${size(data.bytes)} copied in ${seconds(data.copyMs ?? 0)}${rate(data.bytes, data.copyMs)}`,
    data.verified && `${data.verified.rows} rows compared`,
    data.cutoverMs === undefined ? undefined : `writes waited ${data.cutoverMs} ms`,
    move.state === "kept" ? "can be taken back (--back) until --finish" : "the old copy is gone",
  ];
  return `${way}  ${facts.filter((fact) => fact !== undefined).join(", ")}`;
}

export function planLines(
  map: { readonly epoch: number; readonly places: readonly { readonly node: string }[] },
  open: readonly MoveRecord[],
  planned: readonly PlannedMove[],
  problems: readonly string[],
): string[] {
  const nodes = [...new Set(map.places.map(({ node }) => node))].sort();
  const lines = textTable(
    ["NODE", "SHARDS", `MAP, EPOCH ${map.epoch}`],
    nodes.map((node) => {
      const shards = map.places.flatMap((place, shard) => (place.node === node ? [shard] : []));
      return [node, String(shards.length), ranges(shards)];
    }),
  );
  for (const move of open) {
    const what = move.state === "kept" ? "moved, and can be taken back" : `begun, and at "${move.step}"`;
    lines.push("", `Move ${move.id}: shard ${move.shard} from ${move.source} to ${move.target}, ${what}.`);
  }
  if (planned.length > 0) {
    const rows = planned.map(({ shard, source, target }) => [String(shard), source, target]);
    lines.push("", ...textTable(["SHARD", "FROM", "TO"], rows));
  }
  if (problems.length > 0) {
    lines.push("", "In the way:", ...problems.map((problem) => `  - ${problem}`));
  }
  const count = planned.length === 1 ? "1 move" : `${planned.length} moves`;
  lines.push("", planned.length === 0 ? "Nothing to move." : `${count} planned; nothing was changed.`);
  return lines;
}

/** `0-3, 7` */
export function ranges(shards: readonly number[]): string {
  const parts: string[] = [];
  for (let at = 0; at < shards.length; ) {
    let end = at;
    while (shards[end + 1] === (shards[end] as number) + 1) end++;
    parts.push(at === end ? `${shards[at]}` : `${shards[at]}-${shards[end]}`);
    at = end + 1;
  }
  return parts.join(", ");
}

function seconds(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

function rate(bytes: number, ms: number | undefined): string {
  return ms && ms >= 1_000 ? ` (${size((bytes * 1_000) / ms)}/s)` : "";
}
