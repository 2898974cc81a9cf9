/** Every error code in words for the person in front of the page, and what they can do about it. */
import type { ErrorCode } from "../../client/mod.ts";

/** Codes of a row in `error` that no answer has: reconcile found out later. */
export type RowOnlyCode = "interrupted" | "machine_lost";
export type ExplainedCode = ErrorCode | RowOnlyCode;

export interface Explanation {
  /** What happened, in one sentence. */
  sentence: string;
  /** What to do next. */
  next: string;
  /** Whether pressing Provision again can help by itself. */
  retry: boolean;
}

const OURS = "Nothing you can change here: tell whoever runs this service, with the request id.";

export const EXPLANATIONS: Record<ExplainedCode, Explanation> = {
  invalid_request: {
    sentence: "The request was not understood.",
    next: "Correct what is named below and send it again.",
    retry: false,
  },
  unauthorized: {
    sentence: "You are not signed in any more.",
    next: "Sign in again, then repeat what you did.",
    retry: false,
  },
  forbidden: {
    sentence: "You may not do this.",
    next: "Use your own account, or ask an operator.",
    retry: false,
  },
  not_found: {
    sentence: "There is no such machine among yours.",
    next: "It may be gone already. Look at the list of your machines.",
    retry: false,
  },
  method_not_allowed: {
    sentence: "The service does not do this here.",
    next: "This page may be older than the service: reload it.",
    retry: false,
  },
  machine_limit_reached: {
    sentence: "You already have as many machines as you may.",
    next: "Use the one below, or destroy it first.",
    retry: false,
  },
  payload_too_large: {
    sentence: "The request was too long.",
    next: "Reload the page and try again.",
    retry: false,
  },
  unsupported_media_type: {
    sentence: "The request was in a form that the service does not read.",
    next: "This page may be older than the service: reload it.",
    retry: false,
  },
  idempotency_key_reused: {
    sentence: "This attempt was already used for something else.",
    next: "Press Provision again to start a fresh one.",
    retry: true,
  },
  configuration_error: {
    sentence: "The service is not set up completely, so no machine was made.",
    next: OURS,
    retry: false,
  },
  database_error: {
    sentence: "The service could not reach its database.",
    next: "Wait a little and try again. If a machine was begun, it is cleaned up by itself.",
    retry: true,
  },
  fly_unauthorized: {
    sentence: "Fly.io does not accept the service's credentials.",
    next: OURS,
    retry: false,
  },
  fly_rate_limited: {
    sentence: "Too many machines are being made right now.",
    next: "Wait until the countdown ends and try again.",
    retry: true,
  },
  fly_capacity: {
    sentence: "This region has no room for such a machine right now.",
    next: "Choose another region or a lower CPU priority, or try again later.",
    retry: true,
  },
  fly_rejected: {
    sentence: "Fly.io refused to make this machine.",
    next: OURS,
    retry: false,
  },
  fly_unavailable: {
    sentence: "Fly.io does not answer right now.",
    next: "Wait a little and try again.",
    retry: true,
  },
  fly_invalid_response: {
    sentence: "Fly.io gave an answer that makes no sense.",
    next: "Try again. If it stays so, tell whoever runs this service.",
    retry: true,
  },
  machine_failed: {
    sentence: "The machine was made but stopped before it was ready.",
    next:
      "Try again. If it stays so, the machine's image is at fault: tell whoever runs this service.",
    retry: true,
  },
  provision_timeout: {
    sentence: "The machine took too long to start.",
    next: "Try again, perhaps in another region.",
    retry: true,
  },
  internal_error: {
    sentence: "Something went wrong that nobody foresaw.",
    next: "Try again. If it stays so, tell whoever runs this service, with the request id.",
    retry: true,
  },
  interrupted: {
    sentence: "The service was interrupted while it made this machine.",
    next: "What was begun has been cleaned up. Try again.",
    retry: true,
  },
  machine_lost: {
    sentence: "The machine is gone from Fly.io.",
    next: "Provision a new one.",
    retry: true,
  },
  network_error: {
    sentence: "The service could not be reached.",
    next:
      "Check your connection and try again: the same attempt goes on, so nothing is made twice.",
    retry: true,
  },
  unexpected_response: {
    sentence: "The answer did not come from the service itself.",
    next: "Try again in a moment: the same attempt goes on, so nothing is made twice.",
    retry: true,
  },
};

/** The words for a code; for one that this page does not know, those for the unforeseen. */
export function explain(code: string): Explanation {
  return Object.hasOwn(EXPLANATIONS, code)
    ? EXPLANATIONS[code as ExplainedCode]
    : EXPLANATIONS.internal_error;
}
