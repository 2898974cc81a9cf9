/** The operator's figures and charts, kept current. */
import { fill, h } from "../page/dom.ts";
import type { View } from "../page/view.ts";
import type { Health, OperatorApi } from "./api.ts";
import { onThemeChange } from "./chart.ts";
import { Destroyer } from "./destroyer.ts";
import { EventFeed, type Events } from "./event-feed.ts";
import { EventList } from "./event-list.ts";
import { Figures } from "./figures.ts";
import { Finder } from "./finder.ts";
import { healthList } from "./health-list.ts";
import type { Links } from "./addresses.ts";
import { LiveMachines } from "./live-machines.ts";
import { OperatorError } from "./operator-error.ts";
import { startOf } from "./outcomes.ts";
import type { Sample } from "./prometheus.ts";
import { errorOf, lastValue, nextReading, type Reading } from "./reading.ts";
import { ReconcileButton } from "./reconcile-button.ts";
import type { OperatorMachine } from "./rows.ts";
import { Section } from "./section.ts";
import { SpanSelect } from "./span-select.ts";
import { Tiles } from "./tiles.ts";
import { Trouble } from "./trouble.ts";

const REFRESH_MS = 5_000;

export class Dashboard implements View {
  readonly element: HTMLElement;
  readonly #api: OperatorApi;
  readonly #feed: EventFeed;
  readonly #onRefused: (error: OperatorError) => void;
  readonly #stopped = new AbortController();
  readonly #span: SpanSelect;
  readonly #reconcile: ReconcileButton;
  readonly #trouble = new Trouble();
  readonly #tiles = new Tiles();
  readonly #figures = new Figures();
  readonly #checks = h("div", {});
  readonly #eventList: EventList;
  readonly #finder: Finder;
  readonly #destroyer: Destroyer;
  readonly #liveMachines: LiveMachines;
  readonly #healthSection: Section;
  readonly #eventsSection: Section;
  #health: Reading<Health> = { state: "loading" };
  #metrics: Reading<Sample[]> = { state: "loading" };
  #events: Reading<Events> = { state: "loading" };
  #machines: Reading<OperatorMachine[]> = { state: "loading" };
  #refreshes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param onRefused called when the key is no longer accepted */
  constructor(api: OperatorApi, links: Links, onRefused: (error: OperatorError) => void) {
    this.#api = api;
    this.#feed = new EventFeed(api);
    this.#onRefused = onRefused;
    const { signal } = this.#stopped;
    this.#span = new SpanSelect(() => {
      this.#show();
      void this.#refresh();
    });
    const onFind = (value: string) => this.#finder.find(value);
    this.#eventList = new EventList(onFind);
    this.#destroyer = new Destroyer(api, signal, () => {
      this.#show();
      void this.#refresh();
    });
    const rows = {
      links,
      onFind,
      onDestroy: (machine: OperatorMachine) => this.#destroyer.ask(machine),
      stateOf: (machineId: string) => this.#destroyer.stateOf(machineId),
    };
    this.#finder = new Finder(api, signal, rows);
    this.#liveMachines = new LiveMachines(rows, () => void this.#refresh());
    this.#reconcile = new ReconcileButton(api, signal, () => void this.#refresh());
    this.#healthSection = new Section("Health checks", this.#checks, this.#reconcile.element);
    this.#eventsSection = new Section("Newest events", this.#eventList.element);
    this.element = this.#layout();
    onThemeChange(() => this.#showFigures("redraw"), signal);
    this.#show();
    void this.#refresh();
  }

  stop(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
    this.#finder.stop();
  }

  #layout(): HTMLElement {
    return h(
      "div",
      { class: "dashboard" },
      this.#trouble.element,
      this.#tiles.element,
      this.#reconcile.outcome,
      this.#finder.element,
      this.#destroyer.element,
      this.#liveMachines.element,
      this.#span.element,
      ...this.#figures.elements,
      this.#eventsSection.element,
      this.#healthSection.element,
    );
  }

  async #refresh(): Promise<void> {
    clearTimeout(this.#timer);
    const refresh = ++this.#refreshes;
    const { signal } = this.#stopped;
    // Each is shown as soon as it is known: one that hangs holds up no other.
    await Promise.all([
      settled(this.#api.health(signal)).then((result) => {
        this.#health = nextReading(this.#health, result, Date.now());
        this.#show();
      }),
      settled(this.#api.metrics(signal)).then((result) => {
        this.#metrics = nextReading(this.#metrics, result, Date.now());
        this.#show();
      }),
      settled(this.#api.liveMachines(this.#liveMachines.limit, signal)).then((result) => {
        this.#machines = nextReading(this.#machines, result, Date.now());
        this.#show();
      }),
      this.#finder.refresh(),
      this.#readEvents().then((result) => {
        this.#events = nextReading(this.#events, result, Date.now());
        this.#show();
      }),
    ]);
    // Another refresh may have begun meanwhile, and goes on in place of this one.
    if (signal.aborted || refresh !== this.#refreshes) return;
    this.#timer = setTimeout(() => void this.#refresh(), REFRESH_MS);
  }

  #readEvents(): Promise<Events | Error> {
    const since = startOf(this.#span.value, Date.now());
    return settled(this.#feed.read(since, this.#stopped.signal));
  }

  #show(): void {
    if (this.#stopped.signal.aborted) return;
    const refused = errorOf(this.#metrics);
    if (refused instanceof OperatorError && refused.refused) return this.#onRefused(refused);
    this.#showTrouble();
    this.#tiles.showHealth(this.#health);
    this.#tiles.showMetrics(this.#metrics);
    this.#tiles.showEvents(this.#events, this.#span.value);
    this.#liveMachines.show(this.#machines);
    this.#finder.show();
    this.#showFigures("show");
    this.#healthSection.setState(this.#health);
    const health = lastValue(this.#health);
    if (health) this.#showChecks(health);
    this.#eventsSection.setState(this.#events);
    const events = lastValue(this.#events);
    if (events) this.#eventList.show(events.events);
  }

  #showChecks(health: Health): void {
    // Unchanged checks keep a reader's place.
    const seen = JSON.stringify(health);
    if (seen === this.#checks.dataset["seen"]) return;
    this.#checks.dataset["seen"] = seen;
    fill(this.#checks, healthList(health));
  }

  #showTrouble(): void {
    const errors = new Map<string, Error>();
    const readings = {
      Health: this.#health,
      Metrics: this.#metrics,
      Events: this.#events,
      Machines: this.#machines,
    };
    for (const [name, reading] of Object.entries<Reading<unknown>>(readings)) {
      const error = errorOf(reading);
      if (error) errors.set(name, error);
    }
    this.#trouble.show(errors);
    if (errors.size > 0) this.#reconcile.markStale();
  }

  #showFigures(how: "show" | "redraw"): void {
    this.#figures.show(this.#events, this.#metrics, this.#span.value, how);
  }
}

function settled<T>(promise: Promise<T>): Promise<T | Error> {
  return promise.catch((error: unknown) =>
    error instanceof Error ? error : new Error(String(error))
  );
}
