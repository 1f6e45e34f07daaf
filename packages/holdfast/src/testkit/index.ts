/** What a test of a Holdfast system needs: real servers, conditions to wait for, free ports. */
export { findChromium } from "./chromium.ts";
export { findProgram, type SystemProgram } from "./debian.ts";
export { type EtcdMember, startTestEtcd, type TestEtcd, type TestEtcdOptions } from "./etcd.ts";
export { type NatsMember, startTestNats, type TestNats, type TestNatsOptions } from "./nats.ts";
export { freePort } from "./ports.ts";
export {
  type FreshDatabaseOptions,
  startTestPostgres,
  type TestPostgres,
  type TestPostgresOptions,
} from "./postgres.ts";
export type { PostgresMember } from "./postgres-member.ts";
export { type RedisMember, startTestRedis, type TestRedis, type TestRedisOptions } from "./redis.ts";
export type { TestServer } from "./server-process.ts";
export { type UntilOptions, until } from "./wait.ts";
