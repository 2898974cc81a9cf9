/** Health checks, newest events and the result of a reconcile, each as a list of shapes and words. */
import { badge } from "../page/badge.ts";
import { h } from "../page/dom.ts";
import { formatDuration } from "../page/format-time.ts";
import type { Health, MachineEvent, Reconciled } from "./api.ts";
import type { Tone } from "../page/tone.ts";

const TONES: Record<Health["status"], { tone: Tone; word: string }> = {
  pass: { tone: "good", word: "Fine" },
  warn: { tone: "warning", word: "Warning" },
  fail: { tone: "bad", word: "Broken" },
};

export function healthBadge(status: Health["status"]): HTMLElement {
  return badge(TONES[status].tone, TONES[status].word);
}

/** Failing checks come first. */
export function healthList({ checks }: Health): HTMLElement {
  const order: Health["status"][] = ["fail", "warn", "pass"];
  const all = Object.entries(checks)
    .flatMap(([name, results]) => results.map((result) => ({ name, ...result })))
    .sort((a, b) => order.indexOf(a.status) - order.indexOf(b.status));
  if (all.length === 0) return h("p", { class: "muted" }, "Only a service key sees each check.");
  return h(
    "ul",
    { class: "list checks" },
    ...all.map(({ name, status, observedValue, observedUnit, output }) =>
      h(
        "li",
        {},
        healthBadge(status),
        h("code", {}, name),
        h(
          "span",
          { class: "muted" },
          output ?? (observedValue === undefined ? "" : `${observedValue} ${observedUnit ?? ""}`),
        ),
      )
    ),
  );
}

const EVENT_WORDS: Record<string, { tone: Tone; words: string }> = {
  claimed: { tone: "busy", words: "requested" },
  fly_machine_recorded: { tone: "busy", words: "created at Fly.io" },
  running: { tone: "good", words: "runs" },
  adopted: { tone: "good", words: "found running by reconcile" },
  failed: { tone: "bad", words: "failed" },
  interrupted: { tone: "bad", words: "was interrupted" },
  machine_lost: { tone: "bad", words: "is gone from Fly.io" },
  destroy_requested: { tone: "quiet", words: "is to be destroyed" },
  destroyed: { tone: "quiet", words: "destroyed" },
  handed_over: { tone: "warning", words: "handed over to reconcile" },
  cleaned_up: { tone: "quiet", words: "cleaned up" },
};

/** Newest first, as they come. */
export function eventList(events: MachineEvent[]): HTMLElement {
  if (events.length === 0) return h("p", { class: "muted" }, "Nothing has happened yet.");
  return h(
    "ol",
    { class: "list events" },
    ...events.map((event) => {
      const { tone, words } = EVENT_WORDS[event.kind] ?? { tone: "quiet", words: event.kind };
      const details = [
        event.cloud_machines?.region,
        event.error_code,
        event.duration_ms ? formatDuration(event.duration_ms) : null,
      ].filter(Boolean).join(" · ");
      return h(
        "li",
        {},
        h(
          "time",
          { datetime: event.created_at },
          new Date(event.created_at).toLocaleTimeString(),
        ),
        h("code", {}, event.cloud_machines?.machine_id ?? "(deleted row)"),
        badge(tone, words),
        h("span", { class: "muted" }, details),
      );
    }),
  );
}

const ACTION_WORDS: Record<string, string> = {
  adopted: "rows adopted their running machine",
  interrupted: "rows closed after their request died",
  destroyed: "machines destroyed as requested",
  cleanedUp: "failed rows whose machine is now gone",
  orphansDestroyed: "machines without a row destroyed",
  lost: "rows closed whose machine is gone",
  failed: "steps failed; the next run tries again",
};

export function reconcileResult({ counts, requestId }: Reconciled): HTMLElement {
  const done = Object.entries(counts).filter(([, n]) => n > 0);
  return h(
    "div",
    { class: "panel" },
    done.length === 0 ? badge("good", "Everything was in order: nothing to repair") : h(
      "ul",
      {},
      ...done.map(([action, n]) =>
        h(
          "li",
          {},
          badge(action === "failed" ? "bad" : "good", `${n} ${ACTION_WORDS[action] ?? action}`),
        )
      ),
    ),
    h("p", { class: "muted" }, "Request id ", h("code", {}, requestId)),
  );
}
