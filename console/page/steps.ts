/** The steps from the press of the button to a running machine, and how far it has come. */
import { STATUSES } from "./machine-status.ts";
import type { MachineRow } from "./machines.ts";

export type StepState = "done" | "current" | "failed" | "todo";

export interface Step {
  /** Its name in this state. */
  name: string;
  state: StepState;
  /** Milliseconds from the request to the end of this step; null when not known. */
  durationMs: number | null;
}

interface StepNames {
  /** The events that say it is done. */
  kinds: string[];
  done: string;
  current: string;
  failed: string;
}

const STEPS: StepNames[] = [
  { kinds: ["claimed"], done: "Requested", current: "Requesting", failed: "Not requested" },
  { kinds: ["fly_machine_recorded"], done: "Created", current: "Creating", failed: "Not created" },
  {
    kinds: ["running", "adopted"],
    done: "Running",
    current: "Starting",
    failed: "Not running",
  },
];
/**
 * Null stands for a machine that was requested and has no row yet.
 *
 * @returns no steps for a status without a timeline
 */
export function stepsOf(machine: Pick<MachineRow, "status" | "machine_events"> | null): Step[] {
  const { openStep } = STATUSES[machine?.status ?? "provisioning"];
  if (openStep === null) return [];
  const events = machine?.machine_events ?? [];
  const reached = STEPS.map(({ kinds }) => events.find(({ kind }) => kinds.includes(kind)));
  let open = reached.findIndex((event) => event === undefined);
  // A machine that failed after it had run, such as a lost one, runs no more.
  if (open === -1 && openStep === "failed") open = STEPS.length - 1;
  return STEPS.map((names, index) => {
    const state = index === open ? openStep : reached[index] ? "done" : "todo";
    return {
      name: names[state === "todo" ? "done" : state],
      state,
      durationMs: state === "done" ? reached[index]?.duration_ms ?? null : null,
    };
  });
}
