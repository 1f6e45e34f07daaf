import { database, service } from "holdfast";

export interface Tables {
  greeting: { name: string; times: number };
}

export const greetings = database<Tables>("greetings", {
  migrations: new URL("./migrations/", import.meta.url),
  shards: { count: 2 },
  replicas: 0,
});

export const api = service("api", { load: () => import("./api.ts"), instances: { min: 1 } });
