/** Disk full: a filler takes what is left, until a write to the data directory fails with ENOSPC. */
import { open, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { MemberInjector } from "../run/injector.ts";
import { noEffect, notUndone, seenWithin } from "../run/seen.ts";
import { shellQuote } from "../undo/shell-quote.ts";
import { type DiskControl, diskRefusal } from "./disk.ts";

const fillerName = ".holdfast-filler";
const probeName = ".holdfast-probe";
const chunkBytes = 1 << 20;
const probeBytes = 64 << 10;

export const diskFull: MemberInjector<"disk-full"> = {
  refusal: (_fault, member) =>
    member.disk ? diskRefusal(member.disk.dir) : `the target says nothing about a disk of ${member.name}`,
  async inject(_fault, member, context) {
    const { dir } = member.disk as DiskControl;
    const what = `disk-full of ${member.name}`;
    const filler = join(dir, fillerName);
    const entry = await context.guard.promise(
      `rm -f ${shellQuote(filler)} ${shellQuote(join(dir, probeName))}`,
    );
    const empty = async () => {
      await rm(filler, { force: true });
      const seen = await seenWithin(async () => {
        return (await writeFails(dir)) === undefined ? `a write of ${probeBytes} bytes succeeds` : undefined;
      }, context);
      if (seen === undefined) throw notUndone(what, `a write to ${dir} still fails`);
      await entry.kept();
      return seen;
    };
    try {
      const effect = await seenWithin(async () => {
        await fill(filler);
        const code = await writeFails(dir);
        return code === "ENOSPC" ? `a write of ${probeBytes} bytes fails with ENOSPC` : undefined;
      }, context);
      if (effect !== undefined) {
        const { blocks, bsize } = await statfs(dir);
        return { by: `filler file on a filesystem of ${blocks * bsize} bytes`, effect, undo: empty };
      }
    } catch (error) {
      await empty();
      throw error;
    }
    await empty();
    throw noEffect(what, `a write to ${dir} succeeds`);
  },
};

/** Appends until nothing more fits, in pieces that become smaller: the last hole is filled too. */
async function fill(filler: string): Promise<void> {
  const file = await open(filler, "a");
  try {
    const zeros = Buffer.alloc(chunkBytes);
    for (let bytes = chunkBytes; bytes >= 512; ) {
      try {
        const { bytesWritten } = await file.write(zeros, 0, bytes);
        if (bytesWritten < bytes) bytes >>= 1;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
        bytes >>= 1;
      }
    }
  } finally {
    await file.close();
  }
}

/** @returns the error's code; undefined when the write succeeded */
async function writeFails(dir: string): Promise<string | undefined> {
  const path = join(dir, probeName);
  try {
    const file = await open(path, "w");
    try {
      for (let written = 0; written < probeBytes; ) {
        written += (await file.write(Buffer.alloc(probeBytes - written, 1))).bytesWritten;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "unknown";
  } finally {
    await rm(path, { force: true });
  }
}
