/** The newest events, and only those of a machine, user or request that is searched for. */
import { badge } from "../page/badge.ts";
import { fill, h } from "../page/dom.ts";
import { dateTime, formatDuration } from "../page/format-time.ts";
import type { Tone } from "../page/tone.ts";
import type { MachineEvent } from "./api.ts";

const NEWEST = 12;
const MOST_FOUND = 100;

/** How each kind of event looks. What is over and neither good nor bad is quiet. */
const EVENT_LOOKS: Record<string, { tone: Tone; words: string }> = {
  claimed: { tone: "quiet", words: "requested" },
  renamed: { tone: "warning", words: "renamed" },
  fly_machine_recorded: { tone: "quiet", words: "created" },
  running: { tone: "good", words: "running" },
  adopted: { tone: "good", words: "found running" },
  failed: { tone: "bad", words: "failed" },
  interrupted: { tone: "bad", words: "interrupted" },
  machine_lost: { tone: "bad", words: "gone from Fly.io" },
  start_requested: { tone: "quiet", words: "to be started" },
  stop_requested: { tone: "quiet", words: "to be stopped" },
  suspend_requested: { tone: "quiet", words: "to be suspended" },
  change_failed: { tone: "bad", words: "not changed" },
  started: { tone: "good", words: "started" },
  stopped: { tone: "quiet", words: "stopped" },
  crashed: { tone: "bad", words: "stopped by itself" },
  destroy_requested: { tone: "quiet", words: "to be destroyed" },
  destroyed: { tone: "quiet", words: "destroyed" },
  handed_over: { tone: "warning", words: "left to reconcile" },
  cleaned_up: { tone: "quiet", words: "cleaned up" },
};

export class EventList {
  readonly element: HTMLElement;
  readonly #list = h("div", {});
  readonly #search: HTMLInputElement;
  #events: MachineEvent[] = [];
  #shown = "";

  constructor() {
    this.#search = h("input", {
      id: "event-search",
      type: "search",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "Machine, user, request or code",
      oninput: () => this.#render(),
    });
    this.element = h(
      "div",
      {},
      h(
        "div",
        { class: "field search" },
        h("label", { for: "event-search" }, "Find"),
        this.#search,
      ),
      this.#list,
    );
  }

  /** @param events newest first */
  show(events: MachineEvent[]): void {
    this.#events = events;
    this.#render();
  }

  #render(): void {
    const wanted = this.#search.value.trim().toLowerCase();
    const found = wanted === ""
      ? this.#events.slice(0, NEWEST)
      : this.#events.filter((event) => matches(event, wanted)).slice(0, MOST_FOUND);
    // Unchanged rows keep the focus, and what is selected in them.
    const seen = JSON.stringify([wanted, found]);
    if (seen === this.#shown) return;
    this.#shown = seen;
    if (found.length > 0) {
      fill(
        this.#list,
        h("ol", { class: "list events" }, ...found.map((event) => this.#row(event))),
      );
      return;
    }
    const text = wanted === ""
      ? "Nothing has happened yet."
      : "None of the events of the chosen time has this.";
    fill(this.#list, h("p", { class: "muted" }, text));
  }

  #row(event: MachineEvent): HTMLElement {
    const { tone, words } = EVENT_LOOKS[event.kind] ?? { tone: "quiet", words: event.kind };
    const machine = event.cloud_machines;
    const details = [
      machine?.region,
      event.error_code,
      event.duration_ms ? formatDuration(event.duration_ms) : null,
    ].filter(Boolean).join(" · ");
    return h(
      "li",
      {},
      h("time", { datetime: event.created_at }, dateTime(event.created_at)),
      badge(tone, words),
      machine ? this.#link("machine", machine.machine_id) : h("span", {}, "no machine"),
      h("span", { class: "muted" }, details),
      machine?.user_id
        ? this.#link("user", machine.user_id, machine.user_id.slice(-8))
        : h("span", { class: "muted" }, machine ? "deleted user" : ""),
      this.#link("request", event.request_id, event.request_id.slice(0, 13)),
    );
  }

  /** Searches for what it names. */
  #link(what: string, value: string, text = value): HTMLElement {
    return h(
      "button",
      {
        type: "button",
        class: "link",
        title: value,
        "aria-label": `${text}: only events of ${what} ${value}`,
        onclick: () => {
          this.#search.value = value;
          this.#render();
          this.#search.focus();
        },
      },
      text,
    );
  }
}

function matches({ kind, error_code, request_id, cloud_machines }: MachineEvent, wanted: string) {
  const { machine_id, region, user_id } = cloud_machines ?? {};
  return [kind, error_code, request_id, machine_id, region, user_id]
    .some((value) => value?.toLowerCase().includes(wanted));
}
