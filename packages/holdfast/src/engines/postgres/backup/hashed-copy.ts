/** Copies of files whose contents are summed while they are read: what was written is what was summed. */
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";

const chunkBytes = 1 << 20;

export interface FileSum {
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

export interface HashedCopyOptions {
  readonly signal: AbortSignal;
  /** Write the copy to disk before it counts. */
  readonly sync: boolean;
  readonly onBytes?: (bytes: number) => void;
}

/** Copies a file that may grow meanwhile. The copy must not exist. */
export async function copyHashed(from: string, to: string, options: HashedCopyOptions): Promise<FileSum> {
  const target = await open(to, "wx", 0o600);
  try {
    const sum = await sumFile(from, options, async (chunk) => {
      await target.writeFile(chunk);
    });
    if (options.sync) await target.datasync();
    return sum;
  } finally {
    await target.close();
  }
}

/** Writes a small file. It must not exist. */
export async function writeHashed(path: string, text: string, sync: boolean): Promise<FileSum> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(text);
    if (sync) await file.datasync();
  } finally {
    await file.close();
  }
  const sha256 = createHash("sha256").update(text).digest("hex");
  return { bytes: Buffer.byteLength(text), sha256 };
}

export async function sumFile(
  path: string,
  { signal, onBytes }: Pick<HashedCopyOptions, "signal" | "onBytes">,
  each: (chunk: Uint8Array) => Promise<void> = async () => {},
): Promise<FileSum> {
  const source = await open(path, "r");
  try {
    const size = (await source.stat()).size;
    const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, Math.max(size, 1)));
    const hash = createHash("sha256");
    let bytes = 0;
    for (;;) {
      signal.throwIfAborted();
      const { bytesRead } = await source.read(buffer, 0, buffer.length);
      if (bytesRead === 0) break;
      const chunk = buffer.subarray(0, bytesRead);
      hash.update(chunk);
      await each(chunk);
      bytes += bytesRead;
      onBytes?.(bytesRead);
    }
    return { bytes, sha256: hash.digest("hex") };
  } finally {
    await source.close();
  }
}
