/** What the button of the form offers: another machine, or why not and what instead. */
import type { MachineLimit } from "./machine-limit.ts";
import { isLive } from "./machine-status.ts";
import type { MachineRow } from "./machines.ts";

export interface ButtonState {
  text: string;
  disabled: boolean;
  /** The sentence below the button. */
  reason?: string;
  /** The machine to destroy before there can be another. */
  makeRoom?: string | undefined;
  /** The stopped machine to start in place of another. */
  start?: string | undefined;
}

export interface Situation {
  /** Newest first. */
  machines: readonly Pick<MachineRow, "machine_id" | "status">[];
  limit: MachineLimit;
  /** A provisioning of this tab is under way. */
  requested: boolean;
  /** A `Retry-After` is running. */
  waiting: boolean;
  /** The outcome of the last attempt is not known. */
  unanswered: boolean;
}

export function buttonState(situation: Situation): ButtonState {
  const { machines, limit, requested, waiting, unanswered } = situation;
  const live = machines.filter(isLive);
  if (requested) return { text: "Provisioning …", disabled: true };
  const start = live.find(({ status }) => status === "stopped")?.machine_id;
  const full = limit.reasonAgainst(live.length, start !== undefined);
  if (full !== null) {
    const makeRoom = live[0]?.machine_id;
    return { text: "Provision", disabled: true, reason: full, makeRoom, start };
  }
  const text = unanswered ? "Try again" : live.length > 0 ? "Provision another" : "Provision";
  if (waiting) {
    const reason = "Wait until the countdown ends, or choose another region or size.";
    return { text, disabled: true, reason };
  }
  return live.length > 0
    ? { text, disabled: false, reason: "Whether you may have another depends on your limit." }
    : { text, disabled: false };
}
