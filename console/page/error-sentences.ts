/** Every error code in plain words, and what the user can do about it. */
import type { KnownErrorCode, ProvisionMachineError } from "provision-machine-client";

/** Codes that no response has: reconcile writes them to a row. */
export type RowOnlyCode = "interrupted" | "machine_lost";
export type ExplainedCode = KnownErrorCode | RowOnlyCode;

export interface Explanation {
  /** What happened, in one sentence. */
  sentence: string;
  /** What to do next. */
  next: string;
}

const OURS =
  "There is nothing you can do here: report the request id to the operator of this service.";

export const EXPLANATIONS: Record<ExplainedCode, Explanation> = {
  invalid_request: {
    sentence: "The request was not understood.",
    next: "Correct the fields listed below and send it again.",
  },
  unauthorized: {
    sentence: "You are no longer signed in.",
    next: "Sign in again, then try again.",
  },
  forbidden: {
    sentence: "You are not allowed to do this.",
    next: "Use your own account, or ask an operator.",
  },
  not_found: {
    sentence: "You have no such machine.",
    next: "It may already be destroyed: check the list of your machines.",
  },
  method_not_allowed: {
    sentence: "The service does not offer this.",
    next: "This page may be older than the service: reload it.",
  },
  machine_limit_reached: {
    sentence: "You have reached your limit of machines.",
    next: "Use your existing machine, or destroy it first.",
  },
  machine_state_conflict: {
    sentence: "The machine is not in a state that allows this.",
    next: "Use what its card offers, or provision another machine.",
  },
  payload_too_large: {
    sentence: "The request was too long.",
    next: "Reload the page and try again.",
  },
  unsupported_media_type: {
    sentence: "The request was in a format that the service does not accept.",
    next: "This page may be older than the service: reload it.",
  },
  idempotency_key_reused: {
    sentence: "This attempt was already used for a different request.",
    next: "Press Provision again to start a new one.",
  },
  too_many_requests: {
    sentence: "You have requested many machines within an hour.",
    next: "Wait until the countdown ends and try again.",
  },
  fleet_full: {
    sentence: "All machines of this service are in use.",
    next: "Try again later.",
  },
  provisioning_paused: {
    sentence: "New machines are not available at the moment.",
    next: "Your existing machines go on working.",
  },
  configuration_error: {
    sentence: "The service is not fully set up.",
    next: OURS,
  },
  database_error: {
    sentence: "The service could not reach its database.",
    next: "Try again in a moment. If a machine was created, it will be removed automatically.",
  },
  fly_unauthorized: {
    sentence: "Fly.io does not accept the service's credentials.",
    next: OURS,
  },
  fly_rate_limited: {
    sentence: "Too many machines are being created right now.",
    next: "Wait until the countdown ends and try again.",
  },
  fly_capacity: {
    sentence: "This region has no room for such a machine right now.",
    next: "Choose another region or a lower CPU priority, or try again later.",
  },
  fly_account_limit: {
    sentence: "Fly.io gives this service no more machines.",
    next: OURS,
  },
  fly_rejected: {
    sentence: "Fly.io refused to create this machine.",
    next: OURS,
  },
  fly_unavailable: {
    sentence: "Fly.io does not respond right now.",
    next: "Try again in a moment.",
  },
  fly_invalid_response: {
    sentence: "Fly.io sent a response that makes no sense.",
    next: "Try again. If it keeps happening, report it to the operator of this service.",
  },
  machine_failed: {
    sentence: "The machine was created but stopped before it was ready.",
    next:
      "Try again. If it keeps happening, the machine's image is broken: report it to the operator.",
  },
  provision_timeout: {
    sentence: "The machine took too long to start.",
    next: "Try again, perhaps in another region.",
  },
  internal_error: {
    sentence: "Something unexpected went wrong.",
    next:
      "Try again. If it keeps happening, report the request id to the operator of this service.",
  },
  interrupted: {
    sentence: "The service was interrupted while it created this machine.",
    next: "Anything left over has been removed. Try again.",
  },
  machine_lost: {
    sentence: "The machine is gone from Fly.io.",
    next: "Provision a new one.",
  },
  network_error: {
    sentence: "The service could not be reached.",
    next:
      "Check your connection and try again: it continues the same attempt and creates no second machine.",
  },
  unexpected_response: {
    sentence: "The response did not come from the service itself.",
    next: "Try again in a moment: it continues the same attempt and creates no second machine.",
  },
};

/** What to do when the service itself says that the outcome of a call is not known yet. */
export const ASK_AGAIN =
  "It is not known yet whether it worked. Try again: it continues the same attempt and creates no second machine.";

/** What to do when a later call can succeed although the code alone does not say so. */
export const LATER = "Wait until the countdown ends and try again.";

/** What to do next about a failed call: what its answer says about a retry counts. */
export function nextStep({ code, retry }: Pick<ProvisionMachineError, "code" | "retry">): string {
  const answered = code !== "network_error" && code !== "unexpected_response";
  if (answered && retry === "same_key") return ASK_AGAIN;
  const { next } = explain(code);
  return retry === "new_key" && !saysTryAgain(next) ? LATER : next;
}

/** Whether a sentence advises to do the same once more, without changing anything before. */
export function saysTryAgain(next: string): boolean {
  return /^(Wait|Try again|Press|Choose another|Provision)/.test(next);
}

/** The words for a code; those for `internal_error` if this page does not know it. */
export function explain(code: string): Explanation {
  return Object.hasOwn(EXPLANATIONS, code)
    ? EXPLANATIONS[code as ExplainedCode]
    : EXPLANATIONS.internal_error;
}
