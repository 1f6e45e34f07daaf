/**
 * A system as plain data. The supervisor never loads user code: a short-lived process does, checks that every
 * part's module has what it must, and sends this. A module that hangs, exits or throws while it is loaded can
 * therefore not take the supervisor with it.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { AccessOptions } from "../parts/access.ts";
import {
  feedOf,
  type ResolvedFeed,
  type ResolvedReplication,
  shardOptionsOf,
} from "../parts/database/index.ts";
import {
  database as declareDatabase,
  topic as declareTopic,
  type System,
  type Topic,
} from "../parts/index.ts";
import type { Queue, ResolvedQueueOptions } from "../parts/queue/index.ts";
import type { DescribedVersions } from "../parts/schema/index.ts";
import type { ShardStrategy } from "../placement/index.ts";

export interface SystemDescription {
  readonly name: string;
  readonly edge:
    | {
        readonly name: string;
        readonly routes: readonly { readonly path: string; readonly to: string }[];
        readonly workers: number;
        readonly host: string;
        readonly port: number;
        readonly timeoutMs: number;
        readonly session: "header" | "cookie" | "off";
      }
    | undefined;
  readonly services: readonly {
    readonly name: string;
    readonly instances: number;
    readonly access?: AccessOptions | undefined;
  }[];
  readonly workers: readonly {
    readonly name: string;
    readonly from: string;
    readonly instances: number;
    readonly access?: AccessOptions | undefined;
  }[];
  readonly databases: readonly {
    readonly name: string;
    readonly migrations: string | undefined;
    readonly shardCount: number;
    readonly strategy: ShardStrategy;
    readonly replicas: number;
    readonly nodes: number;
    readonly replication: ResolvedReplication;
    readonly lookups: readonly { readonly name: string; readonly unique: boolean }[];
    readonly reference:
      | {
          readonly migrations: string;
          readonly tables: readonly string[];
          readonly maxRows: number;
          readonly maxBytes: number;
        }
      | undefined;
  }[];
  readonly caches: readonly string[];
  readonly topics: readonly {
    readonly name: string;
    readonly home: string | undefined;
    readonly partitions: number;
    readonly retentionMs: number;
    readonly versions: DescribedVersions | undefined;
    /** Of one that tells what is committed to a table. */
    readonly feed: ResolvedFeed | undefined;
  }[];
  readonly schedules: readonly {
    readonly name: string;
    /** Name of the database whose first node remembers it. */
    readonly home: string | undefined;
    readonly to: { readonly kind: string; readonly name: string };
    readonly rule: string;
    readonly missed: string;
  }[];
  readonly queues: readonly {
    readonly name: string;
    readonly home: string | undefined;
    readonly options: Omit<ResolvedQueueOptions, "home">;
  }[];
}

export function describeSystem(system: System): SystemDescription {
  const { edge } = system;
  return {
    name: system.name,
    edge: edge && {
      name: edge.name,
      routes: edge.options.routes.map((route) => ({ path: route.path, to: route.to.name })),
      workers: edge.options.workers,
      host: edge.options.host,
      port: edge.options.port,
      timeoutMs: edge.options.timeoutMs,
      session: edge.options.session,
    },
    services: system.services.map(({ name, options }) => ({
      name,
      instances: options.instances.min,
      access: options.access,
    })),
    workers: system.workers.map(({ name, options }) => ({
      name,
      from: options.from.name,
      instances: options.instances,
      access: options.access,
    })),
    databases: system.databases.map(({ name, options }) => ({
      name,
      migrations: options.migrations?.href,
      shardCount: options.shardCount,
      strategy: options.strategy,
      replicas: options.replicas,
      nodes: options.nodes,
      replication: options.replication,
      lookups: [...options.lookups].map(([lookup, { unique }]) => ({ name: lookup, unique })),
      reference: options.reference && { ...options.reference, migrations: options.reference.migrations.href },
    })),
    caches: system.caches.map(({ name }) => name),
    topics: system.topics.map(({ name, options }) => ({
      name,
      home: options.home?.name,
      partitions: options.partitions,
      retentionMs: options.retentionMs,
      versions: options.versions?.description,
      feed: feedOf({ options }),
    })),
    schedules: system.schedules.map(({ name, options: { to, rule, missed } }) => ({
      name,
      home: to.options.home?.name,
      to: { kind: to.kind, name: to.name },
      rule,
      missed,
    })),
    queues: system.queues.map(({ name, options: { home, ...options } }) => ({
      name,
      home: home?.name,
      options,
    })),
  };
}

/** The declaration of a described topic, for whoever moves messages that were checked when they were published. */
export function redeclareTopic({ name, partitions, retentionMs }: SystemDescription["topics"][number]) {
  const schema: StandardSchemaV1 = {
    "~standard": { version: 1, vendor: "holdfast", validate: (value) => ({ value }) },
  };
  return declareTopic(name, { schema, keyBy: () => "", partitions, retentionMs }) as Topic<never>;
}

export interface VersionedPart {
  /** Kind and name, such as `topic/orders`. */
  readonly part: string;
  /** Name of the database that keeps its messages. */
  readonly home: string | undefined;
  readonly versions: DescribedVersions;
}

/** Of a described system: the parts whose messages have versions. */
export function versionedParts({ topics, databases }: SystemDescription): VersionedPart[] {
  return topics.flatMap(({ name, home = databases[0]?.name, versions }) =>
    versions ? [{ part: `topic/${name}`, home, versions }] : [],
  );
}

/** What an engine needs of a described queue; without its schema, because what it has was checked when it came. */
export function redeclareQueue({ name, options }: SystemDescription["queues"][number]): Queue<never> {
  return { kind: "queue", name, options: { ...options, home: undefined } } as Queue<never>;
}

/** The declaration of a described database, for the engine's migrations. */
export function redeclareDatabase(described: SystemDescription["databases"][number]) {
  return declareDatabase(described.name, {
    ...(described.migrations ? { migrations: new URL(described.migrations) } : {}),
    shards: shardOptionsOf(described),
    replicas: described.replicas,
    nodes: described.nodes,
    replication: described.replication,
    lookups: Object.fromEntries(described.lookups.map(({ name, unique }) => [name, { unique }])),
    ...(described.reference
      ? { reference: { ...described.reference, migrations: new URL(described.reference.migrations) } }
      : {}),
  });
}
