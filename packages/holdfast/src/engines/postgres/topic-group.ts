/**
 * A consumer group: who is alive, and who holds which partition.
 *
 * One transaction per heartbeat, serialised per consumer by its row. Every member takes what is its own share
 * (`assignStep`) and nothing else, under a new epoch, so a partition stays with its reader until the next one
 * is there. Leases run by the server's clock.
 *
 * A renewal that changes no claim is not flushed: losing one in a crash shortens a lease, no more. A change of
 * claims is flushed, because an epoch must never be given out twice.
 */
import { HoldfastError } from "../../call/index.ts";
import { assignStep, type PartitionClaim } from "../../parts/topic/index.ts";
import type { TopicLog } from "./log-tables.ts";
import { flushed, writeAtOnce } from "./log-transaction.ts";
import type { PgSession } from "./session.ts";

/** Finds the consumer, or makes it with a claim for each partition. It starts at the log's beginning. */
export async function openConsumer(session: PgSession, log: TopicLog, name: string): Promise<number> {
  const known = await findConsumer(session, log, name);
  if (known !== undefined) return known;
  await writeAtOnce(session, [
    {
      text: `with made as (
               insert into holdfast.topic_consumer (topic, name) values ($1, $2)
               on conflict do nothing returning id
             )
             insert into holdfast.topic_claim (consumer, partition)
             select made.id, n from made, generate_series(0, $3::int - 1) n`,
      values: [log.id, name, log.partitions],
    },
  ]);
  return (await findConsumer(session, log, name)) as number;
}

export async function findConsumer(
  session: PgSession,
  log: TopicLog,
  name: string,
): Promise<number | undefined> {
  const { rows } = await session.send<{ id: number }>({
    text: "select id from holdfast.topic_consumer where topic = $1 and name = $2",
    values: [log.id, name],
  });
  return rows[0]?.id;
}

/** Members whose lease has run out leave with whoever comes next; former selves when their successor joins. */
const renewSql = `
with gone as (
  delete from holdfast.topic_member
   where consumer = $1 and name <> $2
     and (expires_at < clock_timestamp()
       or ($4::bool and split_part($2, '@', 2) <> '' and split_part(name, '@', 1) = split_part($2, '@', 1)))
)
insert into holdfast.topic_member (consumer, name, expires_at)
select $1, $2, clock_timestamp() + $3::float8 * interval '1 millisecond'
 where $4::bool or not exists (
   select from holdfast.topic_member
    where consumer = $1 and name <> $2 and split_part($2, '@', 2) <> ''
      and split_part(name, '@', 1) = split_part($2, '@', 1))
on conflict (consumer, name) do update set expires_at = excluded.expires_at`;

const groupSql = `
select (select json_agg(name) from holdfast.topic_member where consumer = $1) as members,
       (select json_agg(json_build_array(partition, owner, epoch::text) order by partition)
          from holdfast.topic_claim where consumer = $1) as claims`;

interface GroupRow {
  readonly members: readonly string[] | null;
  readonly claims: readonly (readonly [partition: number, owner: string | null, epoch: string])[];
}

/**
 * Joins or renews, takes the member's share, and answers what it holds.
 *
 * @param joins whether this process has never joined under this name. One that comes back after a pause must
 *   not take over from its successor, and is refused.
 */
export async function renewMember(
  session: PgSession,
  consumerId: number,
  consumer: string,
  member: string,
  leaseMs: number,
  joins: boolean,
): Promise<PartitionClaim[]> {
  try {
    const [, , , group] = await Promise.all([
      session.send({ text: "begin read write" }),
      session.send({
        text: "select from holdfast.topic_consumer where id = $1 for no key update",
        values: [consumerId],
      }),
      session.send({ text: renewSql, values: [consumerId, member, leaseMs, joins] }),
      session.send<GroupRow>({ text: groupSql, values: [consumerId] }),
    ]);
    const { rows } = group;
    const { members, claims } = rows[0] as GroupRow;
    if (!members?.includes(member)) throw supersededError(consumer, member);
    const owners = claims.map(([, owner]) => owner ?? undefined);
    const share = assignStep(owners, members);
    const taken = claims
      .map(([partition]) => partition)
      .filter((partition) => share[partition] === member && owners[partition] !== member);
    if (taken.length > 0) session.push({ text: flushed });
    session.push(
      taken.length > 0
        ? {
            text: `update holdfast.topic_claim set owner = $2, epoch = epoch + 1
                    where consumer = $1 and partition = any ($3::int[])`,
            values: [consumerId, member, taken],
          }
        : { text: "set local synchronous_commit = off" },
    );
    await session.send({ text: "commit" });
    return claims
      .filter(([partition, owner]) => owner === member || taken.includes(partition))
      .map(([partition, , epoch]) => ({
        consumer,
        partition,
        epoch: BigInt(epoch) + (taken.includes(partition) ? 1n : 0n),
      }));
  } catch (error) {
    session.push({ text: "rollback" });
    session.taint();
    throw error;
  }
}

/** Leaves the group; its partitions are free at once. */
export async function removeMember(session: PgSession, consumerId: number, member: string): Promise<void> {
  await writeAtOnce(session, [
    {
      text: `with gone as (delete from holdfast.topic_member where consumer = $1 and name = $2)
             update holdfast.topic_claim set owner = null where consumer = $1 and owner = $2`,
      values: [consumerId, member],
    },
  ]);
}

function supersededError(consumer: string, member: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_FENCED",
    `Another process has joined consumer "${consumer}" as "${member.split("@")[0]}" since: this one was taken for dead. Stop working; give members different names if both should live.`,
    { data: { consumer, member } },
  );
}
