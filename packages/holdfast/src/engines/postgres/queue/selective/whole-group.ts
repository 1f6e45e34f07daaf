/**
 * The group that stands for the queue as a whole, made with it: what runs and what has begun counts there too, where
 * the queue has bounds of its own.
 */
export function wholeGroupSql(id: number): string {
  return `with whole as (
      insert into holdfast.selective_group (queue, whole, name) values (${id}, true, '') returning id
    )
    insert into holdfast.selective_state (queue, grp, version, running, spent_until)
    select ${id}, id, 1, 0, '-infinity' from whole`;
}
