/** Why Fly Proxy did not pass a request on: https://fly.io/docs/monitoring/error-codes/ */

/** Codes of that page; the client sees none of them, they are in the app's log alone. */
export type ProxyErrorCode =
  | "PA01"
  | "PA02"
  | "PA03"
  | "PA04"
  | "PA05"
  | "PC01"
  | "PM01"
  | "PM03"
  | "PM07"
  | "PM08"
  | "PR01"
  | "PR02"
  | "PR04"
  | "PU02";

/**
 * What the client sees: 502 when an app refused or broke off, 503 when no Machine could take the
 * request, `closed` when the connection ends without an answer.
 */
export class ProxyError extends Error {
  override readonly name = "ProxyError";

  constructor(
    readonly code: ProxyErrorCode,
    readonly answer: 502 | 503 | "closed",
    message: string,
    readonly machineId: string | null = null,
  ) {
    super(message);
  }
}

/** One line of an app's log. */
export interface ProxyLogEntry {
  atMs: number;
  app: string;
  code: ProxyErrorCode;
  machineId: string | null;
  message: string;
}
