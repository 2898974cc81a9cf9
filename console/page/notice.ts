/** What the page is doing, or has just done: one line above the machines. */
import { badge } from "./badge.ts";
import { fill, h } from "./dom.ts";
import type { Tone } from "./tone.ts";

const GOOD_NEWS_MS = 10_000;

export class Notice {
  // There from the start: screen readers announce what is added to an element they know.
  readonly element = h("div", { role: "status", class: "notice-slot" });
  #timer: ReturnType<typeof setTimeout> | undefined;
  #shown = "";

  /** Something is under way. Stays until the next call. */
  busy(text: string): void {
    this.#show("busy", text);
  }

  /** Something has succeeded. Goes away after a while, or when it is closed. */
  done(text: string): void {
    const close = h(
      "button",
      { type: "button", class: "close", "aria-label": "Close", onclick: () => this.clear() },
      "×",
    );
    this.#show("good", text, close);
    this.#timer = setTimeout(() => {
      // A button must not disappear while it has the focus.
      if (!this.element.contains(document.activeElement)) this.clear();
    }, GOOD_NEWS_MS);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#shown = "";
    fill(this.element);
  }

  #show(tone: Tone, text: string, close?: HTMLElement): void {
    // An unchanged text is not announced again.
    if (this.#shown === text) return;
    clearTimeout(this.#timer);
    this.#shown = text;
    fill(this.element, h("div", { class: `notice ${tone}` }, badge(tone, text), close));
  }
}
