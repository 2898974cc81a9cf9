/** The row of figures at the top of the dashboard. */
import { badge } from "../page/badge.ts";
import { h } from "../page/dom.ts";
import { formatDuration } from "../page/format-time.ts";
import type { OperatorData } from "./data.ts";
import { healthBadge } from "./lists.ts";
import { binOutcomes, type Span, total } from "./outcomes.ts";
import { percent } from "./percent.ts";
import { gauge, sumBy } from "./prometheus.ts";

export function tiles({ health, metrics, events }: OperatorData, span: Span): HTMLElement[] {
  const samples = metrics instanceof Error ? [] : metrics;
  const bins = events instanceof Error ? [] : binOutcomes(events, span, Date.now());
  const oldest = gauge(samples, "provision_machine_oldest_provisioning_seconds");
  const statuses = sumBy(samples, "provision_machine_machines", "status");
  const lastRun = gauge(samples, "provision_machine_reconcile_last_run_timestamp_seconds");
  return [
    tile(
      "Health",
      health instanceof Error ? badge("warning", "Unknown") : healthBadge(health.status),
    ),
    tile(`Succeeded, last ${span.name}`, percent(total(bins).rate)),
    tile("Running now", metrics instanceof Error ? "–" : String(statuses.get("running") ?? 0)),
    tile("Oldest in progress", oldest ? formatDuration(oldest * 1_000) : "none"),
    tile("Reconciled", lastRun ? ago(lastRun * 1_000) : "never"),
  ];
}

function tile(name: string, value: HTMLElement | string): HTMLElement {
  return h("div", { class: "tile" }, h("dt", {}, name), h("dd", {}, value));
}

function ago(ms: number): string {
  const seconds = Math.max(0, Math.round((Date.now() - ms) / 1_000));
  return seconds < 1 ? "just now" : `${formatDuration(seconds * 1_000)} ago`;
}
