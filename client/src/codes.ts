/** The codes of errors: those of the function's answers, and two for when there is no such answer. */
export const ERROR_CODES = [
  // The request itself
  "invalid_request",
  "unauthorized",
  "forbidden",
  "not_found",
  "method_not_allowed",
  "machine_limit_reached",
  "machine_state_conflict",
  "payload_too_large",
  "unsupported_media_type",
  "idempotency_key_reused",
  "too_many_requests",
  "fleet_full",
  "provisioning_paused",
  // The service, or what it depends on
  "configuration_error",
  "database_error",
  "fly_unauthorized",
  "fly_rate_limited",
  "fly_capacity",
  "fly_account_limit",
  "fly_rejected",
  "fly_unavailable",
  "fly_invalid_response",
  "machine_failed",
  "provision_timeout",
  "internal_error",
  // This client: no answer came, or one that is not the function's
  "network_error",
  "unexpected_response",
] as const;
export type KnownErrorCode = (typeof ERROR_CODES)[number];

/** A known code, or one that a newer service has added. */
export type ErrorCode = KnownErrorCode | (string & Record<never, never>);
