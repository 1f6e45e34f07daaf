/** Every handle of the system, and nothing that runs. */
import { cache, database, service, topic, worker } from "holdfast";
import { Click } from "./clicks/click.ts";
import { CreatedLink } from "./hosts/created-link.ts";
import type { Tables } from "./tables.ts";

export const links = database<Tables>("links", {
  migrations: new URL("./migrations/", import.meta.url),
  shards: { by: "hash" },
  replicas: 1,
});

/** What redirects are answered from. Unknown codes are kept for a few seconds, so that guessing is cheap to bear. */
export const hot = cache("hot", {
  ttlMs: 600_000,
  staleMs: 3_600_000,
  negativeTtlMs: 5_000,
  maxBytes: 64 << 20,
});

export const clicks = topic("clicks", { schema: Click, partitions: 8, keyBy: (click) => click.code });

export const created = topic("created", {
  schema: CreatedLink,
  partitions: 4,
  keyBy: (link) => link.code,
});

export const api = service("api", {
  load: () => import("./api.ts"),
  instances: { min: 2, max: 8 },
  maxBodyBytes: 16 << 10,
});

export const census = worker("census", {
  from: created,
  leaseMs: 3_000,
  load: () => import("./census.ts"),
});

export const tally = worker("tally", {
  from: clicks,
  batch: 500,
  leaseMs: 3_000,
  load: () => import("./tally.ts"),
});
