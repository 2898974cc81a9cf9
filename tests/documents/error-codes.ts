/** Every error code with what the documents must say about it. */
import { HINTS } from "../../supabase/functions/provision-machine/alerts/hints.ts";
import {
  CALLER_ERRORS,
  type ErrorCode,
  PROVISIONING_ERRORS,
  RECONCILE_CODES,
  retryAfter,
} from "../../supabase/functions/provision-machine/errors.ts";

export interface DocumentedCode {
  code: string;
  /** HTTP status; null for a code that only a row has. */
  status: number | null;
  /** The default of `Retry-After`; null without one. */
  retryAfterSeconds: number | null;
  /** What an alert tells operators to do first; null for refusals, which send no alert. */
  operatorHint: string | null;
}

/** All codes, in the order of errors.ts. */
export const ERROR_CODES: DocumentedCode[] = [
  ...Object.entries({ ...CALLER_ERRORS, ...PROVISIONING_ERRORS }).map(([code, status]) => ({
    code,
    status,
    retryAfterSeconds: retryAfter(code as ErrorCode).retryAfterSeconds ?? null,
    operatorHint: hintOf(code),
  })),
  ...RECONCILE_CODES.map((code) => ({
    code,
    status: null,
    retryAfterSeconds: null,
    operatorHint: hintOf(code),
  })),
];

/** Whether a row of `cloud_machines` can have it. */
export function isRowCode({ status }: DocumentedCode): boolean {
  return status === null || status === 500;
}

function hintOf(code: string): string | null {
  return Object.entries(HINTS).find(([known]) => known === code)?.[1] ?? null;
}
