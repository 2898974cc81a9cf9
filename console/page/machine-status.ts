/** What each status of a machine means on the page. A new status needs one entry here. */
import type { Tone } from "./tone.ts";
import type { MachineStatus } from "./machines.ts";

export type MachineAction = "start" | "stop" | "suspend" | "destroy";

export interface StatusMeaning {
  tone: Tone;
  /** Whether it may exist at Fly.io, and be billed. */
  live: boolean;
  /** Whether its WebSocket is offered. */
  connectable: boolean;
  /** How the first step that it has not reached is shown; null: without a timeline. */
  openStep: "current" | "failed" | null;
  /** Stands in place of a timeline. */
  note: string | null;
  actions: readonly MachineAction[];
}

export const STATUSES: Record<MachineStatus, StatusMeaning> = {
  provisioning: {
    tone: "busy",
    live: true,
    connectable: false,
    openStep: "current",
    note: null,
    actions: ["destroy"],
  },
  running: {
    tone: "good",
    live: true,
    connectable: true,
    // A running row without its event was read between the two writes.
    openStep: "current",
    note: null,
    actions: ["suspend", "stop", "destroy"],
  },
  stopped: {
    tone: "quiet",
    live: true,
    connectable: false,
    openStep: null,
    note: null,
    actions: ["start", "destroy"],
  },
  error: {
    tone: "bad",
    live: false,
    connectable: false,
    openStep: "failed",
    note: null,
    actions: [],
  },
  destroyed: {
    tone: "quiet",
    live: false,
    connectable: false,
    openStep: null,
    note: "This machine no longer exists.",
    actions: [],
  },
};

/** Why a stopped machine is stopped, and how it runs again. */
export function whyStopped(reason: string | null): { sentence: string; failed: boolean } {
  switch (reason) {
    case "requested":
      return { sentence: "It was stopped.", failed: false };
    case "idle":
      return {
        sentence: "No one was connected, so it went to sleep. The next connection wakes it.",
        failed: false,
      };
    case "suspended":
      return { sentence: "It is suspended, with its memory.", failed: false };
    case "out of memory":
      return { sentence: "It ran out of memory. A higher CPU priority has more.", failed: true };
    default:
      return reason === null || reason === "unknown"
        ? { sentence: "It stopped, and Fly.io does not say why.", failed: true }
        : { sentence: `Its program ended (${reason}).`, failed: true };
  }
}

/** Whether a machine may exist, and be billed. */
export function isLive({ status }: { status: MachineStatus }): boolean {
  return STATUSES[status].live;
}
