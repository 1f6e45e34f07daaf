/** The hosts that most links lead to, over all shards. Each shard gives its first ones. */
import { links } from "../parts.ts";

export interface TargetHost {
  readonly host: string;
  readonly links: number;
}

export const topHostsMax = 10;

export async function topHosts(): Promise<readonly TargetHost[]> {
  const { rows } = await links.everywhere(
    {
      orderBy: [
        ["links", "desc"],
        ["host", "asc"],
      ],
      limit: topHostsMax,
      level: "eventual",
    },
    (sql) => sql.selectFrom("target_host").select(["host", "links"]),
  );
  return rows.map(({ host, links }) => ({ host, links: Number(links) }));
}
