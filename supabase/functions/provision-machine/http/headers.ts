/** What a request says before its body is read: ids, path, trace and preferences. */
import { AppError } from "../errors.ts";
import type { Redactor } from "../logging/redactor.ts";

const REQUEST_ID = /^[A-Za-z0-9_.-]{1,128}$/;
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;
/** Version, trace id, parent id, flags. https://www.w3.org/TR/trace-context/#traceparent-header */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/;

/** The caller's `x-request-id` if it is one and not a secret, else `newId`. */
export function requestIdOf(headers: Headers, newId: () => string, redactor: Redactor): string {
  const given = headers.get("x-request-id") ?? "";
  return REQUEST_ID.test(given) && redactor.redact(given) === given ? given : newId();
}

/**
 * The path that was asked for, without its query. `request.url` begins with the caller's Host
 * header as it came, so it need not be a URL; which host was meant does not matter here.
 */
export function pathOf({ url }: Pick<Request, "url">): string {
  return URL.parse(url)?.pathname ?? url.match(/^\w+:\/\/[^/?#]*(\/[^?#]*)/)?.[1] ?? "/";
}

export interface TraceContext {
  traceId: string;
  flags: string;
}

/** The caller's trace, or undefined if there is none or it is malformed, as the standard asks. */
export function traceContextOf(headers: Headers): TraceContext | undefined {
  const match = headers.get("traceparent")?.trim().match(TRACEPARENT);
  return match?.[1] && match[2] ? { traceId: match[1], flags: match[2] } : undefined;
}

/** `traceparent` for the calls that this request makes: same trace, own span. */
export function childTraceparent(trace: TraceContext, spanBytes: Uint8Array): string {
  const spanId = Array.from(spanBytes.slice(0, 8), (byte) => byte.toString(16).padStart(2, "0"));
  return `00-${trace.traceId}-${spanId.join("")}-${trace.flags}`;
}

/** Throws {@link AppError} `invalid_request` when the header is there but not a key. */
export function idempotencyKeyOf(headers: Headers): string | null {
  const key = headers.get("idempotency-key");
  if (key === null || IDEMPOTENCY_KEY.test(key)) return key;
  const error = "Idempotency-Key must be 1 to 255 visible ASCII characters";
  throw new AppError("invalid_request", error, {
    fields: { issues: [{ path: "Idempotency-Key", message: error }] },
  });
}

/** Whether `Prefer` asks for an answer before the work is done. https://www.rfc-editor.org/rfc/rfc7240#section-4.1 */
export function prefersAsync(headers: Headers): boolean {
  return (headers.get("prefer") ?? "").split(",").some((preference) =>
    preference.split(";")[0]?.trim().toLowerCase() === "respond-async"
  );
}
