/**
 * Counts links by the host that they lead to. A link lives on the shard of its code and a host's count on the shard of
 * the host, so no transaction of one shard could do both: the link's transaction publishes it, and here its effect on
 * the other shard happens once, whoever dies in between.
 */
import type { Batch } from "holdfast";
import { countHosts } from "./hosts/count-hosts.ts";
import type { CreatedLink } from "./hosts/created-link.ts";
import { links } from "./parts.ts";

export default async function census(batch: Batch<CreatedLink>): Promise<void> {
  await batch.apply(
    links,
    (link) => link.host,
    (tx, messages) =>
      countHosts(
        tx,
        messages.map(({ value }) => value.host),
      ),
  );
}
