/** What a test of a Holdfast system needs: real servers, recorded runs on them, conditions to wait for, free ports. */
export { findChromium } from "./chromium.ts";
export { findProgram, type SystemProgram } from "./debian.ts";
export { type EtcdMember, startTestEtcd, type TestEtcd, type TestEtcdOptions } from "./etcd.ts";
export { type TestFaultTargetOptions, testFaultTarget } from "./fault-target.ts";
export { type NatsMember, startTestNats, type TestNats, type TestNatsOptions } from "./nats.ts";
export { startTestPgBouncer, type TestPgBouncer, type TestPgBouncerOptions } from "./pgbouncer.ts";
export { freePort } from "./ports.ts";
export {
  type FreshDatabaseOptions,
  startTestPostgres,
  type TestPostgres,
  type TestPostgresOptions,
} from "./postgres.ts";
export { type PostgresFaultTarget, postgresFaultTarget } from "./postgres-fault-target.ts";
export type { PostgresMember } from "./postgres-member.ts";
export { allOrNothing, type BankAtRest, type Leg, type Transfer } from "./recorded/all-or-nothing.ts";
export { type AppendsOptions, appends } from "./recorded/appends.ts";
export { type BankOptions, bank } from "./recorded/bank.ts";
export { boundedStaleness } from "./recorded/bounded-staleness.ts";
export { type CachedOptions, cached } from "./recorded/cached.ts";
export { type Deliveries, type DeliveriesOptions, deliveries } from "./recorded/deliveries.ts";
export { failovers } from "./recorded/failovers.ts";
export { type LossesOptions, losses } from "./recorded/losses.ts";
export { type RegistersOptions, registers } from "./recorded/registers.ts";
export {
  type FaultSeen,
  type RecordedRun,
  type RunRecordedOptions,
  runRecorded,
} from "./recorded/run-recorded.ts";
export { type SessionsOptions, sessions } from "./recorded/sessions.ts";
export {
  type OpenTarget,
  type PostgresTargetOptions,
  postgresTarget,
  type Target,
} from "./recorded/target.ts";
export {
  type Beside,
  checkersNamed,
  type PlannedOperation,
  type RecordedChecker,
  RefusedError,
  UniqueValues,
  type Workload,
  type WorkloadClient,
} from "./recorded/workload.ts";
export { type RedisMember, startTestRedis, type TestRedis, type TestRedisOptions } from "./redis.ts";
export type { TestServer } from "./server-process.ts";
export { type UntilOptions, until } from "./wait.ts";
