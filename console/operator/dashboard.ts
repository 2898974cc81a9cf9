/** The operator's figures and charts, kept current. */
import { badge } from "../page/badge.ts";
import { fill, h } from "../page/dom.ts";
import type { View } from "../page/view.ts";
import { type MachineEvent, MAX_EVENTS, type OperatorApi, OperatorError } from "./api.ts";
import { onThemeChange } from "./chart.ts";
import { type OperatorData, readData } from "./data.ts";
import { Figure } from "./figure.ts";
import { eventList, healthList } from "./lists.ts";
import { binOutcomes } from "./outcomes.ts";
import { failuresPicture, machinesPicture, STATUSES } from "./pictures-of-totals.ts";
import { durationPicture, successPicture } from "./pictures-over-time.ts";
import type { Sample } from "./prometheus.ts";
import { ReconcileButton } from "./reconcile-button.ts";
import { SpanSelect } from "./span-select.ts";
import { tiles } from "./tiles.ts";

const REFRESH_MS = 5_000;
const NEWEST_EVENTS = 12;

export class Dashboard implements View {
  readonly element: HTMLElement;
  readonly #api: OperatorApi;
  readonly #onRefused: (error: OperatorError) => void;
  readonly #stopped = new AbortController();
  readonly #span = new SpanSelect(() => this.#show());
  readonly #reconcile: ReconcileButton;
  readonly #trouble = h("div", { role: "alert" });
  readonly #tiles = h("dl", { class: "tiles" });
  readonly #success = new Figure("success", "Success rate", [
    { name: "succeeded", mark: "solid", colour: "blue" },
    { name: "failed", mark: "hatch", colour: "vermilion" },
  ]);
  readonly #durations = new Figure("durations", "How long it takes", [
    { name: "half took at most", mark: "line", colour: "blue" },
    { name: "95 % took at most", mark: "dashed", colour: "vermilion" },
  ]);
  readonly #failures = new Figure("failures", "Failures by code");
  readonly #machines = new Figure("machines", "Machines by region and status", STATUSES);
  readonly #health = h("div", {});
  readonly #events = h("div", {});
  #data: OperatorData | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param onRefused called when the key is no longer accepted */
  constructor(api: OperatorApi, onRefused: (error: OperatorError) => void) {
    this.#api = api;
    this.#onRefused = onRefused;
    const { signal } = this.#stopped;
    this.#reconcile = new ReconcileButton(api, signal, () => void this.#refresh());
    this.element = this.#layout();
    onThemeChange(() => this.#show(), signal);
    void this.#refresh();
  }

  stop(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
  }

  #layout(): HTMLElement {
    return h(
      "div",
      { class: "dashboard" },
      h("div", { class: "toolbar" }, this.#span.element, this.#reconcile.element),
      this.#reconcile.outcome,
      this.#trouble,
      this.#tiles,
      h("div", { class: "figures" }, this.#success.element, this.#durations.element),
      h("div", { class: "figures" }, this.#failures.element, this.#machines.element),
      h(
        "div",
        { class: "figures" },
        h("section", { class: "card" }, h("h2", {}, "Health checks"), this.#health),
        h("section", { class: "card" }, h("h2", {}, "Newest events"), this.#events),
      ),
    );
  }

  async #refresh(): Promise<void> {
    clearTimeout(this.#timer);
    const { signal } = this.#stopped;
    const data = await readData(this.#api, signal);
    if (signal.aborted) return;
    this.#data = data;
    const { metrics } = data;
    if (metrics instanceof OperatorError && metrics.refused) return this.#onRefused(metrics);
    this.#show();
    this.#timer = setTimeout(() => void this.#refresh(), REFRESH_MS);
  }

  #show(): void {
    if (!this.#data) return;
    const { health, metrics, events } = this.#data;
    fill(this.#tiles, ...tiles(this.#data, this.#span.value));
    this.#showTrouble(this.#data);
    this.#showMetrics(metrics);
    this.#showEvents(events);
    if (!(health instanceof Error)) fill(this.#health, healthList(health));
  }

  #showTrouble(data: OperatorData): void {
    const errors = Object.values(data).filter((value) => value instanceof Error);
    const texts = [...new Set(errors.map(({ message }) => message))];
    const message = texts.join("\n");
    // Unchanged trouble is not announced again.
    if (this.#trouble.dataset["shown"] === message) return;
    this.#trouble.dataset["shown"] = message;
    fill(
      this.#trouble,
      ...texts.map((text) => h("p", { class: "panel error" }, badge("bad", text))),
    );
  }

  #showMetrics(metrics: Sample[] | Error): void {
    if (metrics instanceof Error) {
      for (const figure of [this.#failures, this.#machines]) {
        figure.unavailable("The metrics cannot be read.");
      }
      return;
    }
    this.#failures.show(failuresPicture(metrics));
    this.#machines.show(machinesPicture(metrics));
  }

  #showEvents(events: MachineEvent[] | Error): void {
    if (events instanceof Error) {
      const reason = "The events cannot be read.";
      for (const figure of [this.#success, this.#durations]) figure.unavailable(reason);
      fill(this.#events, h("p", { class: "muted" }, reason));
      return;
    }
    const span = this.#span.value;
    const bins = binOutcomes(events, span, Date.now());
    const oldest = events.at(-1)?.created_at ?? "";
    const shortened = events.length === MAX_EVENTS &&
      Date.parse(oldest) > (bins[0]?.startMs ?? 0);
    this.#success.show(successPicture(bins, span, shortened));
    this.#durations.show(durationPicture(bins, span));
    fill(this.#events, eventList(events.slice(0, NEWEST_EVENTS)));
  }
}
