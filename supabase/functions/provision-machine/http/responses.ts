/** The two shapes of JSON answers. */
import type { AppError } from "../errors.ts";
import type { Redactor } from "../logging/redactor.ts";

export function jsonResponse(
  status: number,
  body: Record<string, unknown>,
  headers: Record<string, string> = {},
): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json; charset=utf-8", ...headers },
  });
}

/** `{ error, message, code, retry, machineId, requestId }` and what the error adds; secrets redacted. */
export function errorResponse(
  error: AppError,
  ids: { requestId: string; machineId: string | null },
  redactor: Redactor,
): Response {
  const body = {
    ...error.fields,
    error: error.message,
    message: error.hint,
    code: error.code,
    retry: error.retry,
    machineId: error.fields["machineId"] ?? ids.machineId,
    requestId: ids.requestId,
  };
  return new Response(redactor.redact(JSON.stringify(body)), {
    status: error.status,
    headers: {
      "content-type": "application/json; charset=utf-8",
      ...(error.retryAfterSeconds === undefined
        ? {}
        : { "retry-after": String(Math.ceil(error.retryAfterSeconds)) }),
      ...error.headers,
    },
  });
}
