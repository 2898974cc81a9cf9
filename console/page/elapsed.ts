/** Counts the seconds of a provisioning, beside what to expect. */
import { h, setText } from "./dom.ts";
import { roughDuration } from "./format-time.ts";

const TICK_MS = 250;
/** Beyond so many times the usual duration, it takes longer than usual. */
const LONG = 3;
const ASSUMED_USUAL_MS = 5_000;

export class Elapsed {
  // Not announced: a sentence per second would drown everything else.
  readonly element = h("p", { class: "elapsed" });
  readonly #timer: ReturnType<typeof setInterval>;

  /**
   * @param sinceMs when it was requested, in milliseconds since the epoch
   * @param usualMs how long it took before; null: not known
   */
  constructor(sinceMs: number, usualMs: number | null) {
    const usual = usualMs === null ? "a few seconds" : roughDuration(Math.max(1_000, usualMs));
    const longMs = LONG * Math.max(ASSUMED_USUAL_MS, usualMs ?? 0);
    const tick = () => {
      // The row's time is the database's, whose clock may be ahead of this one.
      const elapsedMs = Math.max(0, Date.now() - sinceMs);
      const expectation = elapsedMs > longMs
        ? `longer than the usual ${usual}`
        : `usually ${usual}`;
      setText(this.element, `${roughDuration(elapsedMs)} · ${expectation}`);
    };
    this.#timer = setInterval(tick, TICK_MS);
    tick();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
