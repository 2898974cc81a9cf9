/** The row of figures at the top of the dashboard. */
import { badge } from "../page/badge.ts";
import { fill, h } from "../page/dom.ts";
import { clockTime, roughDuration } from "../page/format-time.ts";
import type { Tone } from "../page/tone.ts";
import type { Health } from "./api.ts";
import type { Events } from "./event-feed.ts";
import { HEALTH_LOOKS } from "./health-list.ts";
import { binOutcomes, type Span, total } from "./outcomes.ts";
import { percent } from "./percent.ts";
import { poolFigure } from "./pool-figure.ts";
import { LIVE_STATUSES } from "./pictures-of-totals.ts";
import { gauge, type Sample, sumBy } from "./prometheus.ts";
import { lastValue, type Reading } from "./reading.ts";
import { toneOfAge, toneOfRate, toneOfShare } from "./thresholds.ts";

interface TileContent {
  text: string;
  /** Undefined: neither good nor bad. */
  tone?: Tone;
  /** The line below it. */
  detail?: string;
}

class Tile {
  readonly element: HTMLElement;
  readonly #name = h("dt", {});
  readonly #value = h("dd", { class: "tile-value" });
  readonly #detail = h("dd", { class: "tile-detail" });

  constructor() {
    this.element = h("div", { class: "tile" }, this.#name, this.#value, this.#detail);
  }

  /** Shows what is known; without its tone when it is stale. */
  show<T>(name: string, reading: Reading<T>, contentOf: (value: T) => TileContent): void {
    fill(this.#name, name);
    switch (reading.state) {
      case "loading":
        fill(this.#value, h("span", { class: "muted" }, "Loading"));
        return fill(this.#detail);
      case "unknown":
        fill(this.#value, badge("warning", "Unknown"));
        return fill(this.#detail, "cannot be read");
      case "stale":
        fill(this.#value, h("span", { class: "muted" }, contentOf(reading.value).text));
        return fill(this.#detail, `as of ${clockTime(reading.readAt)}`);
      case "current": {
        const { text, tone, detail } = contentOf(reading.value);
        fill(this.#value, tone === undefined ? text : badge(tone, text));
        fill(this.#detail, detail ?? "");
      }
    }
  }
}

export class Tiles {
  readonly element: HTMLElement;
  readonly #health = new Tile();
  readonly #success = new Tile();
  readonly #live = new Tile();
  readonly #pool = new Tile();
  readonly #oldest = new Tile();
  readonly #reconciled = new Tile();

  constructor() {
    const tiles = [this.#health, this.#success, this.#live, this.#oldest, this.#reconciled];
    this.element = h("dl", { class: "tiles" }, ...tiles.map(({ element }) => element));
  }

  showHealth(reading: Reading<Health>): void {
    this.#health.show("Health", reading, healthFigure);
  }

  showEvents(reading: Reading<Events>, span: Span): void {
    this.#success.show(
      `Succeeded, last ${span.name}`,
      reading,
      (read) => successFigure(read, span),
    );
  }

  showMetrics(reading: Reading<Sample[]>): void {
    this.#live.show("Live machines", reading, liveFigure);
    // Most projects have no pool: it appears once it is known that there is to be one.
    const samples = lastValue(reading);
    if (samples === undefined || poolFigure(samples) === null) this.#pool.element.remove();
    else if (!this.#pool.element.isConnected) this.#live.element.after(this.#pool.element);
    this.#pool.show("Warm pool, ready", reading, (read) => poolFigure(read) ?? { text: "None" });
    this.#oldest.show("Oldest in progress", reading, oldestFigure);
    this.#reconciled.show("Last reconcile", reading, reconcileFigure);
  }
}

function healthFigure({ status, checks }: Health): TileContent {
  const all = Object.values(checks).flat();
  const wrong = all.filter((check) => check.status !== "pass").length;
  const { tone, word } = HEALTH_LOOKS[status];
  return { text: word, tone, detail: wrong > 0 ? `${wrong} of ${all.length} checks` : "" };
}

function successFigure({ events }: Events, span: Span): TileContent {
  const { succeeded, failed, rate } = total(binOutcomes(events, span, Date.now()));
  if (rate === null) return { text: "–", detail: "no attempts" };
  const detail = `${failed} of ${succeeded + failed} failed`;
  return { text: percent(rate), tone: toneOfRate(rate), detail };
}

function liveFigure(samples: Sample[]): TileContent {
  const statuses = sumBy(samples, "provision_machine_machines", "status");
  const counts = LIVE_STATUSES.map(({ name }) => ({ name, count: statuses.get(name) ?? 0 }));
  const live = counts.reduce((sum, { count }) => sum + count, 0);
  const most = gauge(samples, "provision_machine_max_machines");
  const others = counts.filter(({ name, count }) => name !== "running" && count > 0)
    .map(({ name, count }) => `${count} ${name}`);
  const limit = most === undefined ? [] : [`of ${most.toLocaleString("en-GB")}`];
  return {
    text: String(live),
    ...(most === undefined ? {} : { tone: toneOfShare(live / most) }),
    detail: [...limit, ...others].join(", "),
  };
}

function oldestFigure(samples: Sample[]): TileContent {
  const seconds = gauge(samples, "provision_machine_oldest_provisioning_seconds");
  if (seconds === undefined) {
    return { text: "Unknown", tone: "warning", detail: "not in the metrics" };
  }
  if (seconds === 0) return { text: "None" };
  return { text: roughDuration(seconds * 1_000), tone: toneOfAge(seconds) };
}

function reconcileFigure(samples: Sample[]): TileContent {
  const seconds = gauge(samples, "provision_machine_reconcile_last_run_timestamp_seconds");
  if (seconds === undefined) {
    return { text: "Unknown", tone: "warning", detail: "not in the metrics" };
  }
  if (seconds === 0) return { text: "Never", tone: "warning" };
  const ageMs = Math.max(0, Date.now() - seconds * 1_000);
  return {
    text: ageMs < 1_000 ? "Just now" : `${roughDuration(ageMs)} ago`,
    tone: toneOfAge(ageMs / 1_000),
    detail: `at ${clockTime(seconds * 1_000)}`,
  };
}
