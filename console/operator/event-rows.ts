/** What happened, one line each, with what leads to more of it. */
import { badge } from "../page/badge.ts";
import { h } from "../page/dom.ts";
import { dateTime, formatDuration } from "../page/format-time.ts";
import type { Tone } from "../page/tone.ts";
import { findButton } from "./links.ts";
import type { MachineEvent } from "./rows.ts";

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

/** @param events as they are to stand below each other */
export function eventRows(
  events: MachineEvent[],
  onFind: (value: string) => void,
): HTMLElement {
  return h("ol", { class: "list events" }, ...events.map((event) => eventRow(event, onFind)));
}

function eventRow(event: MachineEvent, onFind: (value: string) => void): HTMLElement {
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
    machine ? findButton(onFind, "machine", machine.machine_id) : h("span", {}, "no machine"),
    h("span", { class: "muted" }, details),
    machine?.user_id
      ? findButton(onFind, "user", machine.user_id, `user ${machine.user_id.slice(-8)}`)
      : h("span", { class: "muted" }, machine ? "deleted user" : ""),
    findButton(onFind, "request", event.request_id, `request ${event.request_id.slice(0, 8)}`),
  );
}
