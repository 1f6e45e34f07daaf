/** Counts a body that does not say how long it is, and breaks it off when it grows too long. */
import { Transform, type TransformCallback } from "node:stream";

export class BodyTooLarge extends Error {}

export class BodyLimit extends Transform {
  #leftBytes: number;

  constructor(bytesMax: number) {
    super();
    this.#leftBytes = bytesMax;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#leftBytes -= chunk.length;
    if (this.#leftBytes < 0) done(new BodyTooLarge("the body is too large"));
    else done(null, chunk);
  }
}
