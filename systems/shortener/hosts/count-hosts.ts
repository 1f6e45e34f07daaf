/** Counts links by the host that they lead to, in one shard. */
import { sql, type Transaction } from "kysely";
import type { Tables } from "../tables.ts";

export async function countHosts(tx: Transaction<Tables>, hosts: readonly string[]): Promise<void> {
  await sql`
    insert into target_host as kept (host, links)
    select host, count(*) from unnest(${[...hosts]}::text[]) as given (host) group by host order by host
    on conflict (host) do update set links = kept.links + excluded.links
  `.execute(tx);
}
