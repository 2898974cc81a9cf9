/** Where one WebSocket frame ends and the next begins (RFC 6455, section 5.2). */

/** Follows the frames that a server sends, which are never masked. */
export class FrameBoundary {
  #header: number[] = [];
  #payloadLeft = 0;

  /** Takes the next bytes of the stream. */
  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#payloadLeft > 0) {
        const taken = Math.min(this.#payloadLeft, chunk.length - at);
        this.#payloadLeft -= taken;
        at += taken;
        continue;
      }
      this.#header.push(chunk[at++] ?? 0);
      const length = payloadLength(this.#header);
      if (length === null) continue;
      this.#payloadLeft = length;
      this.#header = [];
    }
  }

  /** Whether a frame of one's own may be put in here. */
  get isBetweenFrames(): boolean {
    return this.#payloadLeft === 0 && this.#header.length === 0;
  }
}

/** @returns null while the header is not whole */
function payloadLength(header: readonly number[]): number | null {
  const [, second] = header;
  if (second === undefined) return null;
  const short = second & 0x7f;
  const extra = short === 126 ? 2 : short === 127 ? 8 : 0;
  if (header.length < 2 + extra) return null;
  if (extra === 0) return short;
  return header.slice(2).reduce((length, byte) => length * 256 + byte, 0);
}

/** A close frame as a server sends it. The reason is at most 123 bytes. */
export function closeFrame(code: number, reason: string): Uint8Array {
  const text = new TextEncoder().encode(reason);
  return new Uint8Array([0x88, 2 + text.length, code >> 8, code & 0xff, ...text]);
}
