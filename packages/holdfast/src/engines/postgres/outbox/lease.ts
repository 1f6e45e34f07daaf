/**
 * Which process relays what a source has for a destination: so that normally one of them works, and the others look
 * now and then whether it still does. Nothing rests on it. Two that hold a lease at once only do some work for nothing.
 */
import type { PgSession } from "../session.ts";

export const leaseDefaults = { leaseMs: 3_000, renewMs: 1_000 } as const;

/** Whether this role may relay from here: `undefined` where the tables are not there yet. */
export async function mayRelay(session: PgSession): Promise<boolean | undefined> {
  const { rows } = await session.send<{ may: boolean | null }>({
    text: "select has_table_privilege(to_regclass('holdfast.outbox_lease'), 'insert') as may",
  });
  return rows[0]?.may ?? undefined;
}

export interface LeaseAsk {
  /** Of this process: new for each. */
  readonly owner: string;
  /** Leaves leases to whoever is not: for a process that has other things to do. */
  readonly reluctant: boolean;
  readonly destinations: readonly string[];
  readonly leaseMs: number;
}

/**
 * Takes or renews leases, by the source's clock, and lets go of those that are not asked for any more.
 *
 * @returns the destinations that are this process's now
 */
export async function takeLeases(
  session: PgSession,
  { owner, reluctant, destinations, leaseMs }: LeaseAsk,
): Promise<ReadonlySet<string>> {
  const begun = session.push({ text: "begin read write; set local synchronous_commit = off" });
  const taken = session.send<{ destination: string }>({
    text: `with dropped as (
        delete from holdfast.outbox_lease where owner = $2 and destination <> all ($1::text[])
      )
      insert into holdfast.outbox_lease as held (destination, owner, expires_at, reluctant)
      select asked.destination, $2, clock_timestamp() + $3::float8 * interval '1 millisecond', $4::bool
        from unnest($1::text[]) as asked (destination)
       -- Looked at first, so that those who only ask lock nothing.
       where not exists (select from holdfast.outbox_lease other where other.destination = asked.destination
         and other.owner <> $2 and other.expires_at >= clock_timestamp() and (not other.reluctant or $4::bool))
       order by asked.destination
      on conflict (destination) do update
        set owner = excluded.owner, expires_at = excluded.expires_at, reluctant = excluded.reluctant
       where held.owner = excluded.owner or held.expires_at < clock_timestamp()
          or (held.reluctant and not excluded.reluctant)
      returning destination`,
    values: [destinations, owner, leaseMs, reluctant],
    prepare: true,
  });
  const ended = session.send({ text: "commit" });
  for (const answer of await Promise.allSettled([begun, taken, ended])) {
    if (answer.status === "fulfilled") continue;
    session.taint();
    throw answer.reason;
  }
  return new Set((await taken).rows.map((row) => row.destination));
}

/** Gives leases back, so that others need not wait for their end. */
export async function dropLeases(session: PgSession, owner: string): Promise<void> {
  await session.send({
    text: "begin read write; set local synchronous_commit = off",
  });
  await session.send({ text: "delete from holdfast.outbox_lease where owner = $1", values: [owner] });
  await session.send({ text: "commit" });
}
