/**
 * Cross-origin rules. Supabase's gateway leaves them to the function.
 * https://supabase.com/docs/guides/functions/cors
 */
const ALLOWED_METHODS = "GET, POST, DELETE, OPTIONS";
/** What supabase-js sends, and the request headers of this API. */
const ALLOWED_HEADERS = [
  "authorization",
  "apikey",
  "content-type",
  "x-client-info",
  "x-supabase-api-version",
  "x-region",
  "x-retry-count",
  "idempotency-key",
  "prefer",
  "x-request-id",
  "traceparent",
  "tracestate",
  "baggage",
].join(", ");
const EXPOSED_HEADERS =
  "x-request-id, retry-after, idempotency-replayed, preference-applied, allow";
const PREFLIGHT_MAX_AGE_SECONDS = 86_400;

/**
 * The CORS headers for an answer to `request`. An origin that is not allowed gets the headers
 * without its own name, so that the browser refuses it.
 */
export function corsHeaders(request: Request, allowedOrigins: string[]): Record<string, string> {
  const origin = request.headers.get("origin");
  const common = {
    "access-control-allow-methods": ALLOWED_METHODS,
    "access-control-allow-headers": ALLOWED_HEADERS,
    "access-control-expose-headers": EXPOSED_HEADERS,
  };
  if (allowedOrigins.includes("*")) return { ...common, "access-control-allow-origin": "*" };
  const allowed = origin !== null && allowedOrigins.includes(origin) ? origin : allowedOrigins[0];
  return {
    ...common,
    ...(allowed === undefined ? {} : { "access-control-allow-origin": allowed }),
    vary: "Origin",
  };
}

/** The answer to a preflight. */
export function preflight(): Response {
  return new Response(null, {
    status: 204,
    headers: { "access-control-max-age": String(PREFLIGHT_MAX_AGE_SECONDS) },
  });
}
