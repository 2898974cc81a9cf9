/** The operator's pictures, kept current. */
import { fill, h, setAttribute, setText } from "../page/dom.ts";
import { badge } from "../page/status.ts";
import { formatDuration } from "../page/timeline.ts";
import type { View } from "../page/user-view.ts";
import {
  type Health,
  type MachineEvent,
  MAX_EVENTS,
  type OperatorApi,
  OperatorError,
} from "./api.ts";
import { onThemeChange } from "./chart.ts";
import { Figure } from "./figure.ts";
import { eventList, healthBadge, healthList, reconcileResult } from "./lists.ts";
import { binOutcomes, type Span, SPANS, total } from "./outcomes.ts";
import { failuresPicture, machinesPicture, STATUSES } from "./pictures-of-totals.ts";
import { durationPicture, successPicture } from "./pictures-over-time.ts";
import { percent } from "./percent.ts";
import { gauge, type Sample, sumBy } from "./prometheus.ts";

const REFRESH_MS = 5_000;
const NEWEST_EVENTS = 12;

interface Data {
  health: Health | Error;
  metrics: Sample[] | Error;
  events: MachineEvent[] | Error;
}

/** @param onRefused told when the key is no longer taken */
export function dashboard(api: OperatorApi, onRefused: (error: OperatorError) => void): View {
  const stopped = new AbortController();
  const { signal } = stopped;
  let span: Span = SPANS[1] ?? { name: "1 hour", binMs: 300_000, bins: 12 };
  let data: Data | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const success = new Figure("success", "Success rate", [
    { name: "succeeded", mark: "solid", colour: "blue" },
    { name: "failed", mark: "hatch", colour: "vermilion" },
  ]);
  const durations = new Figure("durations", "How long it takes", [
    { name: "half took at most", mark: "line", colour: "blue" },
    { name: "95 % took at most", mark: "dashed", colour: "vermilion" },
  ]);
  const failures = new Figure("failures", "Failures by code");
  const machines = new Figure("machines", "Machines by region and status", STATUSES);
  const tiles = h("dl", { class: "tiles" });
  const trouble = h("div", { role: "alert" });
  const health = h("div", {});
  const events = h("div", {});
  const outcome = h("div", { role: "status" });
  const button = h(
    "button",
    { type: "button", class: "primary", onclick: () => void reconcile() },
    "Reconcile now",
  );
  const spanSelect = h(
    "select",
    { id: "span" },
    ...SPANS.map(({ name }) => h("option", { value: name, selected: name === span.name }, name)),
  );
  spanSelect.addEventListener("change", () => {
    span = SPANS.find(({ name }) => name === spanSelect.value) ?? span;
    show();
  });

  async function refresh(): Promise<void> {
    clearTimeout(timer);
    const [healthNow, metrics, eventsNow] = await Promise.all([
      api.health(signal).catch(toError),
      api.metrics(signal).catch(toError),
      api.events(signal).catch(toError),
    ]);
    if (signal.aborted) return;
    data = { health: healthNow, metrics, events: eventsNow };
    if (metrics instanceof OperatorError && metrics.refused) return onRefused(metrics);
    show();
    timer = setTimeout(() => void refresh(), REFRESH_MS);
  }

  function show(): void {
    if (!data) return;
    showTiles(data);
    const errors = Object.values(data).filter((value) => value instanceof Error);
    const texts = [...new Set(errors.map(({ message }) => message))];
    const message = texts.join("\n");
    if (trouble.dataset["shown"] !== message) {
      trouble.dataset["shown"] = message;
      fill(trouble, ...texts.map((text) => h("p", { class: "panel error" }, badge("bad", text))));
    }
    if (data.metrics instanceof Error) {
      for (const figure of [failures, machines]) figure.unavailable("The metrics cannot be read.");
    } else {
      failures.show(failuresPicture(data.metrics));
      machines.show(machinesPicture(data.metrics));
    }
    if (data.events instanceof Error) {
      for (const figure of [success, durations]) figure.unavailable("The events cannot be read.");
      fill(events, h("p", { class: "muted" }, "The events cannot be read."));
    } else {
      const now = Date.now();
      const bins = binOutcomes(data.events, span, now);
      const oldest = data.events.at(-1)?.created_at ?? "";
      const shortened = data.events.length === MAX_EVENTS &&
        Date.parse(oldest) > (bins[0]?.startMs ?? 0);
      success.show(successPicture(bins, span, shortened));
      durations.show(durationPicture(bins, span));
      fill(events, eventList(data.events.slice(0, NEWEST_EVENTS)));
    }
    if (!(data.health instanceof Error)) fill(health, healthList(data.health));
  }

  function showTiles({ health, metrics, events }: Data): void {
    const samples = metrics instanceof Error ? [] : metrics;
    const bins = events instanceof Error ? [] : binOutcomes(events, span, Date.now());
    const oldest = gauge(samples, "provision_machine_oldest_provisioning_seconds");
    const statuses = sumBy(samples, "provision_machine_machines", "status");
    const lastRun = gauge(samples, "provision_machine_reconcile_last_run_timestamp_seconds");
    fill(
      tiles,
      tile(
        "Health",
        health instanceof Error ? badge("warning", "Unknown") : healthBadge(health.status),
      ),
      tile(`Succeeded, last ${span.name}`, percent(total(bins).rate)),
      tile("Running now", metrics instanceof Error ? "–" : String(statuses.get("running") ?? 0)),
      tile("Oldest in progress", oldest ? formatDuration(oldest * 1_000) : "none"),
      tile("Reconciled", lastRun ? ago(lastRun * 1_000) : "never"),
    );
  }

  async function reconcile(): Promise<void> {
    if (button.getAttribute("aria-disabled") === "true") return;
    setAttribute(button, "aria-disabled", "true");
    setText(button, "Reconciling …");
    try {
      fill(outcome, reconcileResult(await api.reconcile(signal)));
    } catch (error) {
      if (signal.aborted) return;
      fill(outcome, h("p", { class: "panel error" }, badge("bad", toError(error).message)));
    } finally {
      setAttribute(button, "aria-disabled", null);
      setText(button, "Reconcile now");
    }
    await refresh();
  }

  onThemeChange(show, signal);
  void refresh();
  return {
    element: h(
      "div",
      { class: "dashboard" },
      h(
        "div",
        { class: "toolbar" },
        h("div", { class: "field" }, h("label", { for: "span" }, "Show the last"), spanSelect),
        button,
      ),
      outcome,
      trouble,
      tiles,
      h("div", { class: "figures" }, success.element, durations.element),
      h("div", { class: "figures" }, failures.element, machines.element),
      h(
        "div",
        { class: "figures" },
        h("section", { class: "card" }, h("h2", {}, "Health checks"), health),
        h("section", { class: "card" }, h("h2", {}, "Newest events"), events),
      ),
    ),
    stop() {
      stopped.abort();
      clearTimeout(timer);
    },
  };
}

function tile(name: string, value: HTMLElement | string): HTMLElement {
  return h("div", { class: "tile" }, h("dt", {}, name), h("dd", {}, value));
}

function ago(ms: number): string {
  const seconds = Math.max(0, Math.round((Date.now() - ms) / 1_000));
  return seconds < 1 ? "just now" : `${formatDuration(seconds * 1_000)} ago`;
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
