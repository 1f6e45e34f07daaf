export { formatKsuid, type KsuidFields, ksuidEpochS, ksuidGenerator, parseKsuid } from "./ksuid.ts";
export {
  parseSnowflake,
  type SnowflakeFields,
  type SnowflakeGenerator,
  type SnowflakeLayout,
  type SnowflakeOptions,
  snowflakeEpochMs,
  snowflakeGenerator,
  snowflakeLastMs,
  snowflakeLayouts,
} from "./snowflake.ts";
export { formatUlid, parseUlid, type UlidFields, ulidGenerator } from "./ulid.ts";
export { formatUuidv7, parseUuidv7, type Uuidv7Fields, uuidv7Generator } from "./uuidv7.ts";
