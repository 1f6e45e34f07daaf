/**
 * What a changed source file brings about: the instances whose process has loaded it are replaced one by one,
 * each by a process that is ready before the old one drains, so that no request fails. A change that does not
 * load touches nothing: it is told, and the old processes stay.
 */
import { dirname, extname, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { Clock } from "../clock/index.ts";
import type { SystemDescription } from "./describe.ts";
import { describeInProcess } from "./describe-process.ts";
import type { Project } from "./project.ts";
import type { Reporter } from "./reporter.ts";
import type { Place } from "./running-parts.ts";
import { sourceFolders, watchSources } from "./source-watch.ts";

export interface ReloadOptions {
  readonly systemFile: string;
  readonly project: Project;
  readonly description: SystemDescription;
  readonly places: () => readonly Place[];
  /** Runs the migrations that have not run. */
  readonly migrate: (description: SystemDescription) => Promise<void>;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** How long a replaced process may take to drain. */
  readonly drainMs: number;
}

/** @returns how to stop watching; a replacement under way ends by itself */
export function reloadOnChange(options: ReloadOptions): () => void {
  const { clock, reporter, places } = options;
  let waiting = new Set<string>();
  let busy = false;
  let closed = false;

  const sources = watchSources(clock, {
    changed(paths) {
      for (const path of paths) waiting.add(path);
      void work();
    },
    trouble: (why) =>
      reporter.notice(
        "warn",
        `Not every change of the source will be noticed: ${why}. Restart to take it over.`,
      ),
  });
  const addFolders = () => {
    sources.add(sourceFolders(dirname(options.systemFile)));
    const files = places().flatMap(({ files }) => [...files]);
    sources.add(new Set(files.filter((file) => !isFramework(file)).map(dirname)));
  };
  const work = async () => {
    if (busy) return;
    busy = true;
    while (waiting.size > 0 && !closed) {
      const paths = waiting;
      waiting = new Set();
      try {
        await reload(paths, options);
        addFolders();
      } catch (error) {
        reporter.notice("error", `The change is not taken: ${(error as Error).message}`);
      }
    }
    busy = false;
  };
  addFolders();
  return () => {
    closed = true;
    sources.close();
  };
}

async function reload(paths: ReadonlySet<string>, options: ReloadOptions): Promise<void> {
  const { reporter, systemFile, project, clock } = options;
  const migrations = options.description.databases.flatMap(({ migrations }) =>
    migrations ? [fileURLToPath(migrations)] : [],
  );
  const isMigration = (path: string) => migrations.some((dir) => path.startsWith(dir));
  const affected = affectedPlaces(paths, options.places(), isMigration);
  const migrating = [...paths].some(isMigration);
  if (affected.length === 0 && !migrating) return;

  const known = (path: string) => affectedPlaces(new Set([path]), options.places(), isMigration).length > 0;
  const names = [...paths]
    .filter((path) => known(path) || isMigration(path))
    .map((path) => relative(dirname(systemFile), path))
    .join(", ");
  const description = await describeInProcess({ systemFile, project, clock });
  const changed = changedSections(options.description, description);
  if (changed.length > 0) {
    reporter.notice(
      "warn",
      `${names}: the declaration of ${changed.join(" and ")} changed. \`holdfast down\`, then \`up\`, takes that over.`,
    );
  }
  if (migrating) {
    await options.migrate(options.description);
    reporter.notice("info", `${names}: migrations have run`);
  }
  for (const { instance } of affected) {
    await instance.replace(options.drainMs);
    reporter.notice(
      "info",
      `${names}: ${instance.name} runs the new version, process ${instance.status().pid}`,
    );
  }
}

/** What a service reads and sends, or reads at its start. Anything else (a log, an upload) is not source. */
const assetExtensions = new Set([
  ".html",
  ".css",
  ".js",
  ".mjs",
  ".svg",
  ".json",
  ".wasm",
  ".txt",
  ".yaml",
  ".toml",
]);

/**
 * Modules concern who has loaded them. Of a page, a style or a template nobody knows who reads it, so it
 * concerns every service.
 */
export function affectedPlaces(
  paths: ReadonlySet<string>,
  places: readonly Place[],
  isMigration: (path: string) => boolean,
): Place[] {
  const loaded = (path: string) => places.some(({ files }) => files.has(path));
  const asset = [...paths].some(
    (path) => assetExtensions.has(extname(path)) && !isMigration(path) && !loaded(path),
  );
  return places.filter(
    ({ kind, files }) => (asset && kind === "service") || [...paths].some((path) => files.has(path)),
  );
}

/** Which sections of a declaration differ, in the words of its author. */
export function changedSections(before: SystemDescription, after: SystemDescription): string[] {
  const sections = [
    "name",
    "edge",
    "services",
    "workers",
    "databases",
    "caches",
    "topics",
    "queues",
  ] as const;
  return sections.filter((section) => JSON.stringify(before[section]) !== JSON.stringify(after[section]));
}

const frameworkRoot = fileURLToPath(new URL("..", import.meta.url));

function isFramework(file: string): boolean {
  return file.startsWith(frameworkRoot.endsWith(sep) ? frameworkRoot : frameworkRoot + sep);
}
