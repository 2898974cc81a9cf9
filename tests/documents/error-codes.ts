/** Every error code with what the documents must say about it. */
import {
  type CodeFacts,
  CODES,
  RECONCILE_CODES,
} from "../../supabase/functions/provision-machine/errors.ts";

export interface DocumentedCode {
  code: string;
  /** HTTP status; null for a code that only a row has. */
  status: number | null;
  /** The default of `Retry-After`; null without one. */
  retryAfterSeconds: number | null;
  /** The default of `retry`; null for a code that only a row has. */
  retry: CodeFacts["retry"] | null;
  /** What an alert advises operators to do first; null for refusals, which send no alert. */
  operatorHint: string | null;
}

const ANSWERED: [string, CodeFacts][] = Object.entries(CODES);

/** All codes, in the order of errors.ts. */
export const ERROR_CODES: DocumentedCode[] = [
  ...ANSWERED.map(([code, { status, retry, retryAfterSeconds = null, operatorHint = null }]) => ({
    code,
    status,
    retryAfterSeconds,
    retry,
    operatorHint,
  })),
  ...Object.entries(RECONCILE_CODES).map(([code, { operatorHint }]) => ({
    code,
    status: null,
    retryAfterSeconds: null,
    retry: null,
    operatorHint,
  })),
];

/** Whether a row of `cloud_machines` can have it. */
export function isRowCode({ status }: DocumentedCode): boolean {
  return status === null || status === 500;
}
