/** Answers that no well-behaved upstream gives. */
import type { StatusFault } from "./draw-faults.ts";

/** Which of the two upstreams a call goes to. */
export type Upstream = "fly" | "database";

/** What a gateway, a proxy or the upstream itself answers instead of the call's own answer. */
export function scriptedAnswer(
  { status, retryAfterSeconds, body }: StatusFault,
  upstream: Upstream,
  request: Request,
  requestBody: string,
  padding: number,
): Response {
  const headers = {
    "content-type": body === "html" ? "text/html" : "application/json",
    ...(upstream === "fly" ? { "fly-request-id": "01JNRQ9VVKJ7HZFMJWJB3M3RYN-yyz" } : {}),
    ...(retryAfterSeconds === null ? {} : { "retry-after": String(retryAfterSeconds) }),
  };
  return new Response(text(), { status, statusText: `Scripted ${status}`, headers });

  function text(): string | null {
    const say = (what: string) =>
      JSON.stringify(
        upstream === "fly"
          ? { error: what }
          : { code: "XX000", message: what, details: null, hint: null },
      );
    switch (body) {
      case "json":
        return say(status === 404 ? "machine not found" : `scripted ${status}`);
      case "html":
        return `<html><body><h1>${status}</h1></body></html>`;
      case "empty":
        return null;
      case "echo":
        // Wherever a long text is cut, some secret is cut in two.
        return say(
          `refused ${".".repeat(padding)} ${request.headers.get("authorization")} ${
            request.headers.get("apikey")
          } ` +
            requestBody,
        );
    }
  }
}

/** A connection that was reset, as `fetch` reports it. */
export function reset(): TypeError {
  return new TypeError("error sending request: connection error: Connection reset by peer");
}
