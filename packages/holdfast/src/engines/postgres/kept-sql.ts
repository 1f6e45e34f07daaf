/**
 * Columns that Postgres keeps right by itself: a count or a sum of the rows that point at a row, and a copy of a
 * column of the row that is pointed at. Migrations call `holdfast.keep_count`, `keep_sum` and `keep_copy`; they make
 * triggers, and the triggers' arguments are all the record there is, so that it goes wherever the table goes.
 *
 * Why it holds:
 * - Totals change by what a statement changed (its transition tables), once per row that is pointed at, in the order
 *   of their keys: two transactions that touch the same ones wait for each other and do not deadlock.
 * - The foreign key, which is required and not deferrable, says that nothing points at a row before it is there.
 * - A copy is taken, and its source changed, under the same lock on the row that is pointed at.
 * - Nobody else writes a kept total: an UPDATE that does is refused, an INSERT begins at zero.
 */
import type { InstallStep } from "./install-step.ts";

const helpers = `
-- A plain table of the current schema; NULL when there is none of that name.
create function holdfast.kept_table(name text) returns regclass
language sql stable as $$
  select c.oid::regclass from pg_class c
  where c.relname = name and c.relnamespace = to_regnamespace(quote_ident(current_schema()))
    and c.relkind = 'r' and not c.relispartition
    and not exists (select from pg_inherits i where c.oid in (i.inhrelid, i.inhparent))
$$;

create function holdfast.kept_column(of_table regclass, name text) returns pg_attribute
language sql stable as $$
  select a from pg_attribute a
  where a.attrelid = of_table and a.attname = name and a.attnum > 0 and not a.attisdropped
$$;

-- The columns of the one foreign key from child to parent that has the column \`key\`, as {"child": [], "parent": []}.
create function holdfast.kept_link(child regclass, key text, parent regclass) returns jsonb
language sql stable as $$
  select case when count(*) = 1 then (jsonb_agg(link) -> 0) end from (
    select jsonb_build_object(
      'child', (select jsonb_agg(a.attname order by k.n) from unnest(con.conkey) with ordinality k(num, n)
        join pg_attribute a on a.attrelid = con.conrelid and a.attnum = k.num),
      'parent', (select jsonb_agg(a.attname order by k.n) from unnest(con.confkey) with ordinality k(num, n)
        join pg_attribute a on a.attrelid = con.confrelid and a.attnum = k.num)) as link
    from pg_constraint con
    where con.contype = 'f' and con.conrelid = child and con.confrelid = parent and not con.condeferrable
      and con.conkey @> array[(holdfast.kept_column(child, key)).attnum]) links
$$;

-- A list made of the columns' names: \`pattern\` has %1$s for the quoted name, %2$s for its number and %3$s for it as a value.
create function holdfast.kept_list(names jsonb, pattern text, glue text) returns text
language sql immutable as $$
  select string_agg(format(pattern, quote_ident(name), n, quote_literal(name)), glue order by n)
  from jsonb_array_elements_text(names) with ordinality t(name, n)
$$;

-- Two lists of columns as a join condition: l.a = r.x and l.b = r.y.
create function holdfast.kept_join(l text, l_names jsonb, r text, r_names jsonb) returns text
language sql immutable as $$
  select string_agg(format('%s.%I = %s.%I', l, a.name, r, b.name), ' and ' order by n)
  from jsonb_array_elements_text(l_names) with ordinality a(name, n)
  join jsonb_array_elements_text(r_names) with ordinality b(name, n) using (n)
$$;

-- Names are written into statements that are kept as text, so only plain ones are taken.
create function holdfast.kept_names(names text[]) returns text[]
language sql immutable as $$
  select coalesce(array_agg(format('%L is no name for a table or column here: use letters, digits and _, at most 63', name) order by n), '{}')
  from unnest(names) with ordinality t(name, n) where name !~ '^[A-Za-z_][A-Za-z0-9_]{0,62}$' or name is null
$$;

create function holdfast.kept_refuse(what text, problems text[]) returns void
language plpgsql as $$
begin
  problems := array_remove(problems, null);
  if cardinality(problems) = 0 then return; end if;
  raise exception using errcode = 'invalid_parameter_value', message = format(E'%s: %s\\n  - %s', what,
    case cardinality(problems) when 1 then '1 problem' else cardinality(problems) || ' problems' end,
    array_to_string(problems, E'\\n  - '));
end $$;

-- What is wrong with the tables and the foreign key between them.
create function holdfast.kept_problems(parent text, child text, key text) returns text[]
language sql stable as $$
  select holdfast.kept_names(array[parent, child, key]) || array[
    case when holdfast.kept_table(parent) is null then format('there is no plain table %I in schema %I: tables that are partitioned or inherit cannot be kept', parent, current_schema()) end,
    case when holdfast.kept_table(child) is null then format('there is no plain table %I in schema %I: tables that are partitioned or inherit cannot be kept', child, current_schema()) end,
    case when holdfast.kept_table(parent) is not null and holdfast.kept_table(child) is not null
        and holdfast.kept_link(holdfast.kept_table(child), key, holdfast.kept_table(parent)) is null
      then format('there should be exactly one foreign key, not deferrable, from %I (%I) to %I: add it, without it nobody can say which rows belong together', child, key, parent) end]
$$;

-- Everything that is kept in a schema, from the triggers that keep it.
create function holdfast.kept(in_schema text) returns table (config jsonb, trigger_name name, of_table regclass, main boolean)
language sql stable as $$
  select convert_from(substring(t.tgargs for position('\\x00'::bytea in t.tgargs) - 1), 'UTF8')::jsonb, t.tgname, t.tgrelid::regclass,
    t.tgname like 'holdfast\\_kept\\_%\\_insert'
  from pg_trigger t join pg_class c on c.oid = t.tgrelid
  where not t.tgisinternal and c.relnamespace = to_regnamespace(quote_ident(in_schema))
    and t.tgfoid in (select oid from pg_proc where pronamespace = to_regnamespace('holdfast')
      and proname in ('kept_run', 'kept_guard', 'kept_reset', 'kept_copy'))
$$;
`;

const triggers = `
-- AFTER a statement: runs the statement that \`keep_…\` wrote for it, with the schema that the table is in now.
create function holdfast.kept_run() returns trigger
language plpgsql as $$
begin
  -- A statement without rows fires it too; where a table points at itself, it would never end.
  if tg_op in ('INSERT', 'UPDATE') then
    if not exists (select from holdfast_new) then return null; end if;
  elsif tg_op = 'DELETE' then
    if not exists (select from holdfast_old) then return null; end if;
  end if;
  execute format(tg_argv[1], tg_table_schema);
  return null;
end $$;

-- BEFORE an UPDATE that would write a kept total by hand.
create function holdfast.kept_guard() returns trigger
language plpgsql as $$
begin
  if current_setting('holdfast.repairing', true) = 'on' then return new; end if;
  raise exception using errcode = 'object_not_in_prerequisite_state',
    message = format('%I.%I is kept by holdfast: change the rows of %I instead, or stop keeping it with holdfast.unkeep(%L, %L)',
      tg_table_name, tg_argv[0]::jsonb ->> 'column', tg_argv[0]::jsonb ->> 'child', tg_table_name, tg_argv[0]::jsonb ->> 'column');
end $$;

-- BEFORE a row comes, or gets another key: nothing points at it yet.
create function holdfast.kept_reset() returns trigger
language plpgsql as $$
begin
  return jsonb_populate_record(new, jsonb_build_object(tg_argv[0]::jsonb ->> 'column', 0));
end $$;

-- BEFORE a row comes, or points elsewhere, or would get another copy: the copy is what the source says.
-- Locked against a change of the source until this transaction ends. FOR SHARE would do that too, but who then
-- changes a total of the same row deadlocks with the next who does.
create function holdfast.kept_copy() returns trigger
language plpgsql as $$
declare
  source jsonb;
begin
  execute format(tg_argv[1], tg_table_schema) into source using new;
  return jsonb_populate_record(new, jsonb_build_object(tg_argv[0]::jsonb ->> 'column', source));
end $$;
`;

const totals = `
create function holdfast.keep_total(parent text, total text, child text, key text, value text) returns void
language plpgsql as $$
declare
  what constant text := case when value is null then 'keep_count' else 'keep_sum' end;
  numbers constant regtype[] := '{smallint,integer,bigint,numeric}';
  parent_table constant regclass := holdfast.kept_table(parent);
  child_table constant regclass := holdfast.kept_table(child);
  link constant jsonb := holdfast.kept_link(child_table, key, parent_table);
  kept_in constant pg_attribute := holdfast.kept_column(parent_table, total);
  summed constant pg_attribute := holdfast.kept_column(child_table, value);
  prefix constant text := 'holdfast_kept_' || left(md5(what || parent || '.' || total), 12);
  n constant text := case when value is null then '1' else format('coalesce(%I, 0)::numeric', value) end;
  config jsonb;
  changed text;
  apply text;
  made record;
begin
  perform holdfast.kept_refuse(what, holdfast.kept_problems(parent, child, key)
    || holdfast.kept_names(array_remove(array[total, value], null))
    || case when parent_table is not null and kept_in.attname is null then format('%I has no column %I', parent, total) end
    || case when not kept_in.atttypid = any (numbers) then format('%I.%I should be smallint, int, bigint or numeric', parent, total) end
    || case when not kept_in.attnotnull then format('%I.%I should be not null default 0', parent, total) end
    || case when value is not null and child_table is not null and summed.attname is null then format('%I has no column %I', child, value) end
    || case when not summed.atttypid = any (numbers) then format('%I.%I should be smallint, int, bigint or numeric: sums of others are not exact', child, value) end
    || case when exists (select from holdfast.kept(current_schema()) k where k.config ->> 'table' = parent
        and k.config ->> 'column' = total and k.trigger_name not like prefix || '%')
      then format('%I.%I is kept already: holdfast.unkeep(%L, %L) first', parent, total, parent, total) end);
  config := jsonb_build_object('kind', case when value is null then 'count' else 'sum' end, 'table', parent,
    'column', total, 'child', child, 'value', value, 'childKey', link -> 'child', 'parentKey', link -> 'parent');
  changed := 'select ' || holdfast.kept_list(link -> 'child', '%1$s as k%2$s', ', ') || ', %s as n from %s';
  -- Written with %%1$I for the schema, which the trigger fills in; names of the user's have their % doubled.
  apply := 'with delta as (select ' || holdfast.kept_list(link -> 'parent', 'k%2$s', ', ') || ', sum(n) as n from (@) changed group by '
    || holdfast.kept_list(link -> 'parent', 'k%2$s', ', ') || ' having sum(n) <> 0), '
    || 'locked as materialized (select ' || holdfast.kept_list(link -> 'parent', 'p.%1$s as k%2$s', ', ') || ', d.n from @schema.'
    || quote_ident(parent) || ' p join delta d on ' || holdfast.kept_list(link -> 'parent', 'p.%1$s = d.k%2$s', ' and ')
    || ' order by ' || holdfast.kept_list(link -> 'parent', 'p.%1$s', ', ') || ' for no key update of p) '
    || 'update @schema.' || quote_ident(parent) || format(' p set %1$I = p.%1$I + l.n from locked l where ', total)
    || holdfast.kept_list(link -> 'parent', 'p.%1$s = l.k%2$s', ' and ');
  for made in select * from (values
    ('insert', 'referencing new table as holdfast_new', format(changed, n, 'holdfast_new')),
    ('delete', 'referencing old table as holdfast_old', format(changed, '-' || n, 'holdfast_old')),
    ('update', 'referencing old table as holdfast_old new table as holdfast_new',
      format(changed, n, 'holdfast_new') || ' union all ' || format(changed, '-' || n, 'holdfast_old')),
    ('truncate', '', 'select ' || holdfast.kept_list(link -> 'parent', '%1$s as k%2$s', ', ')
      || format(', -%1$I as n from @schema.%2$I where %1$I <> 0', total, parent))) as events(event, transition, changes)
  loop
    execute format('create or replace trigger %I after %s on %s %s for each statement execute function holdfast.kept_run(%L, %L)',
      prefix || '_' || made.event, made.event, child_table, made.transition, config::text,
      replace(replace(replace(apply, '(@)', '(' || made.changes || ')'), '%', '%%'), '@schema', '%1$I'));
  end loop;
  execute format('create or replace trigger %I before update of %I on %s for each row when (old.%2$I is distinct from new.%2$I and pg_trigger_depth() = 0) execute function holdfast.kept_guard(%4$L)',
    prefix || '_guard', total, parent_table, config::text);
  execute format('create or replace trigger %I before insert on %s for each row when (new.%I is distinct from 0) execute function holdfast.kept_reset(%L)',
    prefix || '_new', parent_table, total, config::text);
  execute format('create or replace trigger %I before update of %s on %s for each row when (%s) execute function holdfast.kept_reset(%L)',
    prefix || '_rekey', holdfast.kept_list(link -> 'parent', '%1$s', ', '), parent_table,
    holdfast.kept_list(link -> 'parent', 'old.%1$s is distinct from new.%1$s', ' or '), config::text);
  perform holdfast.repair_one(current_schema(), config);
end $$;

create function holdfast.keep_count(parent text, total text, child text, key text) returns void
language sql as $$ select holdfast.keep_total(parent, total, child, key, null) $$;

create function holdfast.keep_sum(parent text, total text, child text, key text, value text) returns void
language sql as $$ select holdfast.keep_total(parent, total, child, key, value) $$;
`;

const copies = `
create function holdfast.keep_copy(child text, copy text, key text, parent text, source text) returns void
language plpgsql as $$
declare
  parent_table constant regclass := holdfast.kept_table(parent);
  child_table constant regclass := holdfast.kept_table(child);
  link constant jsonb := holdfast.kept_link(child_table, key, parent_table);
  kept_in constant pg_attribute := holdfast.kept_column(child_table, copy);
  taken_from constant pg_attribute := holdfast.kept_column(parent_table, source);
  prefix constant text := 'holdfast_kept_' || left(md5('keep_copy' || child || '.' || copy), 12);
  config jsonb;
  take text;
  pass text;
begin
  perform holdfast.kept_refuse('keep_copy', holdfast.kept_problems(parent, child, key)
    || holdfast.kept_names(array[copy, source])
    || case when child_table is not null and kept_in.attname is null then format('%I has no column %I', child, copy) end
    || case when parent_table is not null and taken_from.attname is null then format('%I has no column %I', parent, source) end
    || case when kept_in.atttypid <> taken_from.atttypid or kept_in.atttypmod <> taken_from.atttypmod or kept_in.attcollation <> taken_from.attcollation
      then format('%I.%I should be of the type of %I.%I: %s', child, copy, parent, source, format_type(taken_from.atttypid, taken_from.atttypmod)) end
    || case when taken_from.atttypid in ('json'::regtype, 'jsonb'::regtype) then format('%I.%I is %s: only columns that hold one value can be copied', parent, source, format_type(taken_from.atttypid, null)) end
    || case when parent = child and source = copy then format('%I.%I cannot be a copy of itself', child, copy) end
    || case when exists (select from holdfast.kept(current_schema()) k where k.config ->> 'table' = child
        and k.config ->> 'column' = copy and k.trigger_name not like prefix || '%')
      then format('%I.%I is kept already: holdfast.unkeep(%L, %L) first', child, copy, child, copy) end);
  config := jsonb_build_object('kind', 'copy', 'table', child, 'column', copy, 'child', child, 'parent', parent,
    'source', source, 'childKey', link -> 'child', 'parentKey', link -> 'parent');
  take := format('select to_jsonb(p.%I) from @schema.%I p where ', source, parent)
    || (select string_agg(format('p.%I = ($1).%I', b.name, a.name), ' and ')
        from jsonb_array_elements_text(link -> 'child') with ordinality a(name, n)
        join jsonb_array_elements_text(link -> 'parent') with ordinality b(name, n) using (n))
    || ' for no key update of p';
  pass := format('update @schema.%1$I c set %2$I = n.%3$I from holdfast_new n join holdfast_old o on ', child, copy, source)
    || holdfast.kept_join('o', link -> 'parent', 'n', link -> 'parent')
    || format(' where o.%1$I is distinct from n.%1$I and ', source)
    || holdfast.kept_join('c', link -> 'child', 'n', link -> 'parent')
    || format(' and c.%I is distinct from n.%I', copy, source);
  take := replace(replace(take, '%', '%%'), '@schema', '%1$I');
  pass := replace(replace(pass, '%', '%%'), '@schema', '%1$I');
  execute format('create or replace trigger %I before insert on %s for each row execute function holdfast.kept_copy(%L, %L)',
    prefix || '_insert', child_table, config::text, take);
  execute format('create or replace trigger %I before update on %s for each row when (%s or old.%I is distinct from new.%4$I) execute function holdfast.kept_copy(%5$L, %6$L)',
    prefix || '_update', child_table, holdfast.kept_list(link -> 'child', 'old.%1$s is distinct from new.%1$s', ' or '), copy, config::text, take);
  execute format('create or replace trigger %I after update on %s referencing old table as holdfast_old new table as holdfast_new for each statement execute function holdfast.kept_run(%L, %L)',
    prefix || '_pass', parent_table, config::text, pass);
  perform holdfast.repair_one(current_schema(), config);
end $$;
`;

const upkeep = `
-- SELECT of the rows that drifted: key, kept, expected. @schema-less: it names its schema.
create function holdfast.kept_drift_sql(in_schema text, config jsonb) returns text
language plpgsql stable as $$
declare
  owner constant text := config ->> 'table';
  child constant text := config ->> 'child';
  key_columns jsonb := config -> 'parentKey';
  n constant text := case when config ->> 'value' is null then 'count(*)' else format('sum(%I)', config ->> 'value') end;
begin
  if config ->> 'kind' <> 'copy' then
    return 'select jsonb_build_object(' || holdfast.kept_list(key_columns, '%3$s, p.%1$s', ', ')
      || format(') as key, p.%I::text as kept, coalesce(c.n, 0)::text as expected from %I.%I p left join (select ',
        config ->> 'column', in_schema, owner)
      || holdfast.kept_list(config -> 'childKey', '%1$s', ', ') || format(', %s as n from %I.%I group by ', n, in_schema, child)
      || holdfast.kept_list(config -> 'childKey', '%1$s', ', ') || ') c on '
      || holdfast.kept_join('c', config -> 'childKey', 'p', key_columns)
      || format(' where p.%I is distinct from coalesce(c.n, 0)', config ->> 'column');
  end if;
  select jsonb_agg(a.attname order by k.n) into key_columns
  from pg_index i cross join unnest(i.indkey::int2[]) with ordinality k(num, n)
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.num
  where i.indisprimary and i.indrelid = format('%I.%I', in_schema, child)::regclass;
  return 'select jsonb_build_object(' || coalesce(holdfast.kept_list(key_columns, '%3$s, c.%1$s', ', '), '''ctid'', c.ctid::text')
    || format(') as key, c.%I::text as kept, p.%I::text as expected from %I.%I c left join %I.%I p on ',
      config ->> 'column', config ->> 'source', in_schema, child, in_schema, config ->> 'parent')
    || holdfast.kept_join('c', config -> 'childKey', 'p', config -> 'parentKey')
    || format(' where c.%I is distinct from p.%I', config ->> 'column', config ->> 'source');
end $$;

-- One statement for each kept column, so that each is judged in one snapshot: writers that are under way do not show.
create function holdfast.verify_kept(in_schema text default current_schema())
returns table (kind text, table_name text, column_name text, key jsonb, kept text, expected text)
language plpgsql stable as $$
declare
  one jsonb;
begin
  for one in select k.config from holdfast.kept(in_schema) k where k.main
    order by k.config ->> 'kind', k.config ->> 'table', k.config ->> 'column' loop
    return query execute format('select %L::text, %L::text, %L::text, d.key, d.kept, d.expected from (%s) d order by d.key',
      one ->> 'kind', one ->> 'table', one ->> 'column', holdfast.kept_drift_sql(in_schema, one));
  end loop;
end $$;

-- Holds writers of both tables off until the transaction ends. Returns how many rows were put right.
create function holdfast.repair_one(in_schema text, config jsonb) returns bigint
language plpgsql as $$
declare
  parent constant text := coalesce(config ->> 'parent', config ->> 'table');
  child constant text := config ->> 'child';
  key_list text;
  right_now bigint;
  before constant text := coalesce(current_setting('holdfast.repairing', true), '');
begin
  execute format('lock table %I.%I, %I.%I in share row exclusive mode', in_schema, least(parent, child), in_schema, greatest(parent, child));
  perform set_config('holdfast.repairing', 'on', true);
  if config ->> 'kind' = 'copy' then
    execute format('update %1$I.%2$I c set %3$I = p.%4$I from %1$I.%5$I p where ', in_schema, child, config ->> 'column', config ->> 'source', parent)
      || holdfast.kept_join('c', config -> 'childKey', 'p', config -> 'parentKey')
      || format(' and c.%I is distinct from p.%I', config ->> 'column', config ->> 'source');
    get diagnostics right_now = row_count;
  else
    key_list := holdfast.kept_list(config -> 'childKey', '%1$s', ', ');
    execute format('update %1$I.%2$I p set %3$I = w.n from (select ', in_schema, parent, config ->> 'column')
      || holdfast.kept_list(config -> 'parentKey', 'q.%1$s as k%2$s', ', ') || ', coalesce(c.n, 0) as n '
      || format('from %1$I.%2$I q left join (select ', in_schema, parent) || key_list || ', '
      || case when config ->> 'value' is null then 'count(*)' else format('sum(%I)', config ->> 'value') end
      || format(' as n from %1$I.%2$I group by ', in_schema, child) || key_list || ') c on '
      || holdfast.kept_join('c', config -> 'childKey', 'q', config -> 'parentKey') || ') w where '
      || holdfast.kept_list(config -> 'parentKey', 'p.%1$s = w.k%2$s', ' and ')
      || format(' and p.%I is distinct from w.n', config ->> 'column');
    get diagnostics right_now = row_count;
  end if;
  perform set_config('holdfast.repairing', before, true);
  return right_now;
end $$;

create function holdfast.repair_kept(in_schema text default current_schema()) returns bigint
language plpgsql as $$
declare
  one jsonb;
  repaired bigint := 0;
begin
  for one in select k.config from holdfast.kept(in_schema) k where k.main
    order by k.config ->> 'kind', k.config ->> 'table', k.config ->> 'column' loop
    repaired := repaired + holdfast.repair_one(in_schema, one);
  end loop;
  return repaired;
end $$;

create function holdfast.unkeep(table_name text, column_name text) returns void
language plpgsql as $$
declare
  one record;
  found_any boolean := false;
begin
  for one in select k.trigger_name, k.of_table from holdfast.kept(current_schema()) k
    where k.config ->> 'table' = table_name and k.config ->> 'column' = column_name loop
    execute format('drop trigger %I on %s', one.trigger_name, one.of_table);
    found_any := true;
  end loop;
  if not found_any then
    perform holdfast.kept_refuse('unkeep', array[format('%I.%I is not kept in schema %I', table_name, column_name, current_schema())]);
  end if;
end $$;
`;

export const keptInstall: InstallStep = {
  name: "kept",
  version: 1,
  sql: [helpers, triggers, totals, copies, upkeep].join("\n"),
};

/**
 * Materialized, so that conditions of whoever asks are not looked at before ours: a trigger of somebody else has
 * arguments of its own, or none, and reading them as ours fails.
 */
export const keptFoundInstall: InstallStep = {
  name: "kept",
  version: 2,
  sql: `
create or replace function holdfast.kept(in_schema text)
  returns table (config jsonb, trigger_name name, of_table regclass, main boolean)
language sql stable as $$
  with ours as materialized (
    select t.tgargs, t.tgname, t.tgrelid
    from pg_trigger t join pg_class c on c.oid = t.tgrelid
    where not t.tgisinternal and c.relnamespace = to_regnamespace(quote_ident(in_schema))
      and t.tgfoid in (select oid from pg_proc where pronamespace = to_regnamespace('holdfast')
        and proname in ('kept_run', 'kept_guard', 'kept_reset', 'kept_copy'))
  )
  select convert_from(substring(tgargs for position('\\x00'::bytea in tgargs) - 1), 'UTF8')::jsonb, tgname,
    tgrelid::regclass, tgname like 'holdfast\\_kept\\_%\\_insert'
  from ours
$$;
`,
};
