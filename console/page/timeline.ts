/** The steps from the press of the button to a running machine, and how far it has come. */
import { h, icon } from "./dom.ts";
import type { MachineEvent, MachineRow } from "./machines.ts";

type StepState = "done" | "current" | "failed" | "todo";

export interface Step {
  name: string;
  state: StepState;
  /** Milliseconds from the call to this step; null when it is not known. */
  durationMs: number | null;
}

const STEPS: { name: string; kinds: string[] }[] = [
  { name: "Claimed", kinds: ["claimed"] },
  { name: "Created at Fly.io", kinds: ["fly_machine_recorded"] },
  { name: "Started", kinds: ["running", "adopted"] },
  { name: "Running", kinds: ["running", "adopted"] },
];
const IN_WORDS: Record<StepState, string> = {
  done: "done",
  current: "in progress",
  failed: "failed here",
  todo: "not yet",
};
const ICONS: Record<StepState, string> = {
  done: "M6.5 11.6 2.9 8l-1.1 1.1 4.7 4.7 8-8-1.1-1.1z",
  current: "M8 4.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z",
  failed:
    "m8 6.9 3.4-3.4 1.1 1.1L9.1 8l3.4 3.4-1.1 1.1L8 9.1l-3.4 3.4-1.1-1.1L6.9 8 3.5 4.6l1.1-1.1z",
  todo: "",
};

/** Null stands for a machine that was requested and has no row yet. */
export function stepsOf(machine: Pick<MachineRow, "status" | "machine_events"> | null): Step[] {
  const events = machine?.machine_events ?? [];
  const reached = STEPS.map(({ kinds }) => events.find(({ kind }) => kinds.includes(kind)));
  const firstOpen = reached.findIndex((event) => event === undefined);
  return STEPS.map(({ name }, index) => ({
    name,
    state: stateOf(reached[index], index === firstOpen, machine?.status ?? "provisioning"),
    durationMs: reached[index]?.duration_ms ?? null,
  }));
}

function stateOf(
  event: MachineEvent | undefined,
  firstOpen: boolean,
  status: MachineRow["status"],
): StepState {
  if (event) return "done";
  if (!firstOpen || status === "destroyed") return "todo";
  // A running row without its event was read between the two writes.
  return status === "error" ? "failed" : "current";
}

/** The steps as an ordered list. */
export function timeline(steps: Step[]): HTMLElement {
  return h(
    "ol",
    { class: "timeline", "aria-label": "Progress" },
    ...steps.map(({ name, state, durationMs }) =>
      h(
        "li",
        { class: `step ${state}`, "aria-current": state === "current" ? "step" : null },
        h("span", { class: "dot" }, icon(ICONS[state])),
        h(
          "span",
          { class: "step-text" },
          h("span", { class: "step-name" }, name),
          h("span", { class: "visually-hidden" }, `: ${IN_WORDS[state]}`),
          state === "done" && durationMs
            ? h("span", { class: "step-time" }, formatDuration(durationMs))
            : null,
        ),
      )
    ),
  );
}

/** `850 ms`, `2.4 s`, `1 min 30 s`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
