/** A request's body, kept for a replay as long as it is small enough. */
import type { IncomingMessage } from "node:http";
import { pipeline } from "node:stream/promises";
import type { Writable } from "node:stream";

export class RequestBody {
  private constructor(
    private readonly start: Uint8Array,
    /** What comes behind `start`; null when nothing does. */
    private readonly rest: AsyncIterator<Uint8Array> | null,
  ) {}

  /**
   * Reads the body up to the limit.
   *
   * @param maxBytes more cannot be sent twice
   */
  static async read(incoming: IncomingMessage, maxBytes: number): Promise<RequestBody> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    const iterator: AsyncIterator<Uint8Array> = incoming[Symbol.asyncIterator]();
    for (;;) {
      const next = await iterator.next();
      if (next.done) return new RequestBody(concat(chunks, length), null);
      chunks.push(next.value);
      length += next.value.length;
      if (length > maxBytes) return new RequestBody(concat(chunks, length), iterator);
    }
  }

  static readonly none: RequestBody = new RequestBody(new Uint8Array(), null);

  /** False when a part of it is gone once it was sent. */
  get repeatable(): boolean {
    return this.rest === null;
  }

  /** Its length in bytes, if that is known. */
  get length(): number | null {
    return this.rest === null ? this.start.length : null;
  }

  async send(target: Writable): Promise<void> {
    const { start, rest } = this;
    await pipeline(async function* () {
      yield start;
      if (rest === null) return;
      for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
    }, target);
  }
}

function concat(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
