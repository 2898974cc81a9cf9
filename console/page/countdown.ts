/** Counts `Retry-After` down. */
import { h } from "./dom.ts";

export interface Countdown {
  element: HTMLElement;
  /** Resolves at the end; never, once stopped. */
  over: Promise<void>;
  stop(): void;
}

/** Starts at once. It follows the clock, so a sleeping tab does not fall behind. */
export function countdown(seconds: number, now: () => number = Date.now): Countdown {
  const until = now() + seconds * 1_000;
  const { promise: over, resolve } = Promise.withResolvers<void>();
  // A role that is not announced: a sentence per second would drown everything else.
  const element = h("p", { role: "timer", class: "countdown" });
  const tick = () => {
    const left = Math.max(0, Math.ceil((until - now()) / 1_000));
    element.textContent = left > 0 ? `You can try again in ${left} s` : "You can try again now";
    if (left > 0) return;
    clearInterval(timer);
    resolve();
  };
  const timer = setInterval(tick, 250);
  tick();
  return { element, over, stop: () => clearInterval(timer) };
}
