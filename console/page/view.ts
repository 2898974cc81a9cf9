/** What the page's frame needs to know of each of its views. */

export interface View {
  element: HTMLElement;
  /** Ends its timers, requests and connections. */
  stop(): void;
}
