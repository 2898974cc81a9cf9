/** The events of the chosen time: read back as far as needed once, then only what is new. */
import { EVENTS_PER_PAGE, type OperatorApi } from "./api.ts";
import type { MachineEvent } from "./rows.ts";

/** More than this is not kept; the page says that older ones are not shown. */
const MAX_EVENTS = 10_000;
/** An event may appear after one with a later time: its transaction took longer. */
const OVERLAP_MS = 120_000;

export interface Events {
  /** Newest first. */
  events: MachineEvent[];
  /** Whether they reach back to the time asked for. */
  complete: boolean;
}

export class EventFeed {
  readonly #api: Pick<OperatorApi, "events">;
  /** Newest first, without repetition. */
  #events: MachineEvent[] = [];
  #atBeginning = false;

  constructor(api: Pick<OperatorApi, "events">) {
    this.#api = api;
  }

  /** @param sinceMs how far back, in milliseconds since the epoch. Throws what the API throws */
  async read(sinceMs: number, signal: AbortSignal): Promise<Events> {
    await this.#readNew(signal);
    while (
      !this.#atBeginning && !this.#reachesBack(sinceMs) && this.#events.length < MAX_EVENTS
    ) {
      const page = await this.#api.events({ beforeId: this.#events.at(-1)?.id }, signal);
      this.#add(page);
      this.#atBeginning = page.length < EVENTS_PER_PAGE;
    }
    return { events: this.#events, complete: this.#atBeginning || this.#reachesBack(sinceMs) };
  }

  async #readNew(signal: AbortSignal): Promise<void> {
    const [newest] = this.#events;
    if (newest === undefined) return;
    const from = new Date(Date.parse(newest.created_at) - OVERLAP_MS).toISOString();
    const found: MachineEvent[] = [];
    while (found.length < MAX_EVENTS) {
      const page = await this.#api.events({ from, beforeId: found.at(-1)?.id }, signal);
      found.push(...page);
      if (page.length < EVENTS_PER_PAGE) return this.#add(found);
    }
    // So much is new that what was known before is not connected with it.
    this.#events = [];
    this.#atBeginning = false;
    this.#add(found);
  }

  #add(events: MachineEvent[]): void {
    const byId = new Map([...this.#events, ...events].map((event) => [event.id, event]));
    const sorted = [...byId.values()].sort((a, b) => b.id - a.id);
    if (sorted.length > MAX_EVENTS) this.#atBeginning = false;
    this.#events = sorted.slice(0, MAX_EVENTS);
  }

  #reachesBack(sinceMs: number): boolean {
    const oldest = this.#events.at(-1);
    return oldest !== undefined && Date.parse(oldest.created_at) <= sinceMs;
  }
}
