/** What each status of a machine means on the page. A new status needs one line here. */
import type { Tone } from "./badge.ts";
import type { MachineStatus } from "./machines.ts";

export interface StatusMeaning {
  tone: Tone;
  /** Whether it may exist at Fly.io, and be billed. */
  live: boolean;
  /** Whether its WebSocket is offered. */
  connectable: boolean;
}

export const STATUSES: Record<MachineStatus, StatusMeaning> = {
  provisioning: { tone: "busy", live: true, connectable: false },
  running: { tone: "good", live: true, connectable: true },
  error: { tone: "bad", live: false, connectable: false },
  destroyed: { tone: "quiet", live: false, connectable: false },
};

/** Whether a machine may exist, and be billed. */
export function isLive({ status }: { status: MachineStatus }): boolean {
  return STATUSES[status].live;
}
