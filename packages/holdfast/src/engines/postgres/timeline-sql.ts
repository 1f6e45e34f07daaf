/**
 * The history of a timeline for roles without the right to replicate: the server reads its own file for them. It says
 * at which locations timelines were left, and nothing else; no other file can be asked for.
 */
import type { InstallStep } from "./install-step.ts";

/** Works when whoever installed it may read the server's files, as a superuser; otherwise it fails when called. */
export const timelineInstall: InstallStep = {
  name: "timeline",
  version: 1,
  sql: `create function holdfast.timeline_history(timeline int) returns text
    language sql stable strict security definer set search_path = pg_catalog
    as $$ select pg_read_file('pg_wal/' || lpad(upper(to_hex(timeline)), 8, '0') || '.history', 0, 1048576, true) $$;`,
};

export const timelineHistorySql = "select holdfast.timeline_history($1) as content";
