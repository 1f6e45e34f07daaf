/**
 * The environment of Postgres processes: theirs alone. The caller's PGDATA, PGPORT, PGOPTIONS, locale and time
 * zone must not leak into a server, and neither must anything secret.
 */
export function serverEnvironment(): NodeJS.ProcessEnv {
  const { PATH, SystemRoot, TEMP } = process.env;
  return {
    ...(PATH === undefined ? {} : { PATH }),
    ...(SystemRoot === undefined ? {} : { SystemRoot }), // Windows loads libraries by it
    ...(TEMP === undefined ? {} : { TEMP }),
    LC_ALL: "C",
    TZ: "UTC",
  };
}
