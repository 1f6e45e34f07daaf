/**
 * What the instances say, kept in one file each under the system's `logs/`: two generations of at most eight
 * megabytes, so that a talkative part never fills the disk.
 */
import { closeSync, openSync, renameSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";

export interface LogFiles {
  append(source: string, line: string): void;
  close(): void;
}

const fileBytesMax = 8 << 20;

export function openLogFiles(dir: string): LogFiles {
  const files = new Map<string, { fd: number; bytes: number }>();
  const openFile = (path: string) => {
    const fd = openSync(path, "a", 0o600);
    return { fd, bytes: statSync(path).size };
  };
  return {
    append(source, line) {
      const path = join(dir, `${source}.log`);
      try {
        let file = files.get(source) ?? openFile(path);
        if (file.bytes > fileBytesMax) {
          closeSync(file.fd);
          renameSync(path, `${path}.1`);
          file = openFile(path);
        }
        files.set(source, file);
        file.bytes += writeSync(file.fd, `${line}\n`);
      } catch {
        // A full disk must not take the supervisor with it: the line is lost, the system goes on.
        files.delete(source);
      }
    },
    close() {
      for (const { fd } of files.values()) closeSync(fd);
      files.clear();
    },
  };
}
