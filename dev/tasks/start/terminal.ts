/**
 * Where the command writes: results to standard output, progress and errors to standard error.
 */

const FULL_PIPE_PAUSE_MS = 5;

export interface TerminalOptions {
  /** Called once when the output has no reader any more: the terminal was closed, the pipe broke. */
  onLost: () => void;
}

export class Terminal {
  readonly #onLost: () => void;
  readonly #startedAt = performance.now();
  #lost = false;

  constructor({ onLost }: TerminalOptions) {
    this.#onLost = onLost;
  }

  /** Prints to standard output. */
  say(text = ""): void {
    this.#write(Deno.stdout, text);
  }

  /** Reports what start-up is doing, with the time since the command was started. */
  step(text: string): void {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    this.#write(Deno.stderr, `${seconds.toFixed(1).padStart(6)} s  ${text}`);
  }

  /** Prints to standard error. */
  fail(text: string): void {
    this.#write(Deno.stderr, text);
  }

  #write(stream: typeof Deno.stdout | typeof Deno.stderr, text: string): void {
    if (this.#lost) return;
    try {
      writeAll(stream, new TextEncoder().encode(`${text}\n`));
    } catch {
      // A closed terminal or a broken pipe: there is no place left to report this to.
      this.#lost = true;
      this.#onLost();
    }
  }
}

function writeAll(stream: typeof Deno.stdout, bytes: Uint8Array): void {
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(stream.writeSync(bytes));
    } catch (error) {
      // Node.js, when it is at the other end, makes pipes non-blocking; a slow reader fills them.
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_PAUSE_MS);
    }
  }
}
