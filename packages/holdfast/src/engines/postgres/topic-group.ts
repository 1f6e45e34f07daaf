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
import { assignStep, type ConsumerOpening, type PartitionClaim } from "../../parts/topic/index.ts";
import { subjectsRegExp } from "../../parts/topic/subject.ts";
import { nextNumberSql } from "./log-sequence.ts";
import { placeConsumer } from "./log-start.ts";
import type { TopicLog } from "./log-tables.ts";
import { flushed, writeAtOnce } from "./log-transaction.ts";
import type { PgSession } from "./session.ts";

/**
 * Finds the consumer, or makes it with a claim for each partition, at the place where it is to begin. What it wants is
 * set to what this member says: the newest version of a worker has the last word.
 */
export async function openConsumer(
  session: PgSession,
  log: TopicLog,
  name: string,
  { from = "beginning", only, ephemeral = false }: ConsumerOpening = {},
): Promise<number> {
  const filter = only === undefined ? null : subjectsRegExp(only);
  const known = await findConsumer(session, log, name);
  if (known !== undefined) {
    await session.send({ text: "begin read write" });
    await session.send({
      text: "update holdfast.topic_consumer set filter = $2 where id = $1 and filter is distinct from $2",
      values: [known, filter],
    });
    await session.send({ text: "commit" });
    return known;
  }
  await session.send({ text: `begin read write; ${flushed}` });
  try {
    const { rows } = await session.send<{ id: number }>({
      text: `insert into holdfast.topic_consumer (topic, name, filter, ephemeral) values ($1, $2, $3, $4)
             on conflict do nothing returning id`,
      values: [log.id, name, filter, ephemeral],
    });
    const [made] = rows;
    if (made) {
      await session.send({
        text: `insert into holdfast.topic_claim (consumer, partition)
               select $1, n from generate_series(0, $2::int - 1) n`,
        values: [made.id, log.partitions],
      });
      await placeConsumer(session, log, made.id, from);
    }
    await session.send({ text: "commit" });
  } catch (error) {
    session.push({ text: "rollback" });
    session.taint();
    throw error;
  }
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

/**
 * How a member comes: `join` for the first time under its name; `renew` when it is known; `rejoin` when it had joined a
 * server that was lost since, perhaps together with its joining.
 */
export type MemberComing = "join" | "renew" | "rejoin";

/** Another process of the same name: what is behind the `@` tells them apart, and sorts by when they began. */
const otherSelf = `split_part($2, '@', 2) <> '' and split_part(name, '@', 1) = split_part($2, '@', 1)`;
const newerSelf = `split_part(name, '@', 2) collate "C" > split_part($2, '@', 2) collate "C"`;

/** Members whose lease has run out leave with whoever comes next; former selves when their successor joins. */
const renewSql = `
with gone as (
  delete from holdfast.topic_member
   where consumer = $1 and name <> $2
     and (expires_at < clock_timestamp()
       or (${otherSelf} and ($4::text = 'join' or ($4 = 'rejoin' and not ${newerSelf}))))
)
insert into holdfast.topic_member (consumer, name, expires_at)
select $1, $2, clock_timestamp() + $3::float8 * interval '1 millisecond'
  from holdfast.topic_consumer where id = $1 and ($4 = 'join' or not exists (
   select from holdfast.topic_member
    where consumer = $1 and name <> $2 and ${otherSelf} and ($4 = 'renew' or ${newerSelf})))
on conflict (consumer, name) do update set expires_at = excluded.expires_at`;

const groupSql = `
select exists (select from holdfast.topic_consumer where id = $1) as there,
       (select json_agg(name) from holdfast.topic_member where consumer = $1) as members,
       (select json_agg(json_build_array(partition, owner, epoch::text) order by partition)
          from holdfast.topic_claim where consumer = $1) as claims`;

interface GroupRow {
  /** Whether the consumer is still there: one of a single process goes with it. */
  readonly there: boolean;
  readonly members: readonly string[] | null;
  readonly claims: readonly (readonly [partition: number, owner: string | null, epoch: string])[];
}

/**
 * Joins or renews, takes the member's share, and answers what it holds.
 *
 * One that comes back after a pause must not take over from its successor, and is refused.
 */
export async function renewMember(
  session: PgSession,
  consumerId: number,
  consumer: string,
  member: string,
  leaseMs: number,
  coming: MemberComing,
): Promise<PartitionClaim[]> {
  try {
    const [, , , group] = await Promise.all([
      session.send({ text: "begin read write" }),
      session.send({
        text: "select from holdfast.topic_consumer where id = $1 for no key update",
        values: [consumerId],
      }),
      session.send({ text: renewSql, values: [consumerId, member, leaseMs, coming] }),
      session.send<GroupRow>({ text: groupSql, values: [consumerId] }),
    ]);
    const { rows } = group;
    const { members, claims, there } = rows[0] as GroupRow;
    if (!there) throw removedError(consumer);
    if (!members?.includes(member)) throw supersededError(consumer, member);
    const owners = claims.map(([, owner]) => owner ?? undefined);
    const share = assignStep(owners, members);
    const taken = claims
      .map(([partition]) => partition)
      .filter((partition) => share[partition] === member && owners[partition] !== member);
    if (taken.length > 0) session.push({ text: flushed });
    const changed = session.send<{ partition: number; epoch: string }>(
      taken.length > 0
        ? {
            text: `update holdfast.topic_claim set owner = $2, epoch = ${nextNumberSql("epoch")}
                    where consumer = $1 and partition = any ($3::int[])
                    returning partition, epoch::text as epoch`,
            values: [consumerId, member, taken],
          }
        : { text: "set local synchronous_commit = off" },
    );
    const [{ rows: claimed }] = await Promise.all([changed, session.send({ text: "commit" })]);
    const epochs = new Map(claimed.map((row) => [row.partition, row.epoch]));
    return claims
      .filter(([partition, owner]) => owner === member || epochs.has(partition))
      .map(([partition, , epoch]) => ({
        consumer,
        partition,
        epoch: BigInt(epochs.get(partition) ?? epoch),
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

function removedError(consumer: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_FENCED",
    `Consumer "${consumer}" is not there any more: it was removed, or its one process had been silent for longer than its lease. Messages may have been missed. Begin again to go on.`,
    { data: { consumer, removed: true } },
  );
}

function supersededError(consumer: string, member: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_FENCED",
    `Another process has joined consumer "${consumer}" as "${member.split("@")[0]}" since: this one was taken for dead. Stop working; give members different names if both should live.`,
    { data: { consumer, member } },
  );
}

/** Forgets a consumer and everything of it. @returns whether there was one */
export async function removeConsumer(session: PgSession, consumerId: number): Promise<boolean> {
  await session.send({ text: `begin read write; ${flushed}` });
  try {
    // Whoever is about to renew waits, and finds it gone.
    await session.send({
      text: "select from holdfast.topic_consumer where id = $1 for update",
      values: [consumerId],
    });
    const gone = ["topic_member", "topic_claim", "topic_progress", "topic_dead_letter"].map((table) =>
      session.send({ text: `delete from holdfast.${table} where consumer = $1`, values: [consumerId] }),
    );
    const last = session.send({
      text: "delete from holdfast.topic_consumer where id = $1",
      values: [consumerId],
    });
    await Promise.all([...gone, last, session.send({ text: "commit" })]);
    return (await last).rowCount === 1;
  } catch (error) {
    session.push({ text: "rollback" });
    session.taint();
    throw error;
  }
}
