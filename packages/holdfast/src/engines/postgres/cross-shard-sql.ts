/**
 * Decisions: a row on the coordinator's node says that a cross-shard transaction is committed, and which nodes still
 * have a prepared part of it. Without a row, and without its marker, it is aborted.
 *
 * The row is inserted by the coordinator's own part, so that this part and the decision are one commit. It stays
 * until every participant has confirmed; the marker beside it stays for a day at least.
 */
import type { InstallStep } from "./install-step.ts";

export const decisionInstall: InstallStep = {
  name: "decision",
  version: 1,
  sql: `
create table holdfast.decision (
  -- Of the attempt, as in its marker and in the gids of its participants.
  id uuid primary key,
  -- Names of the nodes that prepared, in the order of their numbers.
  participants text[] not null,
  decided_at timestamptz not null default clock_timestamp()
);
`,
};
