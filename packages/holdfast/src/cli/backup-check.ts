/** `holdfast backup --verify`: whether a backup is whole, told before it is needed. */
import { systemClock } from "../clock/index.ts";
import { verifySystem } from "../runtime/backup-list.ts";
import type { Project } from "../runtime/project.ts";
import { type CommandInput, exitCodes } from "./command.ts";
import { interruptible } from "./interrupt.ts";
import { progressLine } from "./progress.ts";
import { size } from "./table.ts";

export async function verifyBackup(
  project: Project,
  { values, positionals, io }: CommandInput,
): Promise<number> {
  const interrupt = interruptible();
  const progress = progressLine(io, systemClock);
  const [backup] = positionals;
  try {
    progress.step("Checking the backup");
    const { manifest, dir, bytes, read } = await verifySystem(project, {
      ...(backup === undefined ? {} : { backup }),
      deep: values.deep === true,
      cwd: io.cwd,
      clock: systemClock,
      signal: interrupt.signal,
      onProgress: (text, done, total) =>
        progress.update(done < total ? `${text}: ${size(done)} of ${size(total)}` : text),
    });
    progress.done();
    if (values.json) {
      io.out(JSON.stringify({ backup: manifest.name, dir, bytes, whole: true, read: read ?? null }));
      return exitCodes.ok;
    }
    io.out(`${manifest.name} is whole: all of its files (${size(bytes)}) are as they were written.`);
    for (const { node, tables, rows } of read ?? []) {
      io.out(`${node} starts at the cut, and all of it can be read: ${tables} tables, ${rows} rows.`);
    }
    return exitCodes.ok;
  } finally {
    progress.done();
    interrupt.forget();
  }
}
