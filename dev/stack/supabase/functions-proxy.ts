/**
 * Passes `/functions/v1/<name>/…` on to the function's process, as the hosted gateway does: the
 * function sees `/<name>/…`, its answer (CORS headers included) goes back untouched, streamed.
 */
import { ConnectionReset } from "./listen.ts";

/** Where a function answers: base URL of its process, or a handler in this process. */
export type FunctionTarget = string | URL | ((request: Request) => Response | Promise<Response>);

/** https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1 */
const HOP_BY_HOP = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

/** The functions of one stack. */
export class FunctionsProxy {
  readonly #targets = new Map<string, FunctionTarget | null>();
  // No connection is kept: a function's process may be replaced between two requests.
  readonly #client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });

  /** @param target `null`: the function is deployed, but none of it runs */
  set(name: string, target: FunctionTarget | null): void {
    if (!/^[A-Za-z][A-Za-z0-9_-]*$/.test(name)) {
      throw new Error(`"${name}" is no name of an Edge Function`);
    }
    this.#targets.set(name, target);
  }

  close(): void {
    this.#client.close();
  }

  /** @param request its path starts with `/functions/v1/` */
  async forward(request: Request, peerAddress: string | null): Promise<Response> {
    const url = new URL(request.url);
    const path = url.pathname.slice("/functions/v1".length);
    const target = this.#targets.get(path.split("/")[1] ?? "");
    if (target === undefined) {
      return gatewayError(404, "NOT_FOUND", "Requested function was not found");
    }
    if (target === null) return bootError();
    const headers = forwardedHeaders(request, url, peerAddress);
    const init = { method: request.method, headers, body: request.body, signal: request.signal };
    if (typeof target === "function") {
      return await target(new Request(new URL(path + url.search, url.origin), init));
    }
    try {
      const response = await fetch(new URL(path + url.search, target), {
        ...init,
        redirect: "manual",
        client: this.#client,
      });
      return new Response(response.body, {
        status: response.status,
        statusText: response.statusText,
        headers: endToEnd(response.headers),
      });
    } catch (error) {
      if (request.signal.aborted) throw new ConnectionReset("the caller hung up");
      if (isConnectionRefused(error)) return bootError();
      return gatewayError(
        500,
        "WORKER_ERROR",
        "Function exited due to an error (please check logs)",
      );
    }
  }
}

/**
 * Codes and texts as the hosted gateway answers them,
 * https://supabase.com/docs/guides/functions/status-codes
 */
function gatewayError(status: number, code: string, message: string): Response {
  return Response.json({ code, message }, { status });
}

function bootError(): Response {
  return gatewayError(503, "BOOT_ERROR", "Function failed to start (please check logs)");
}

function forwardedHeaders(request: Request, url: URL, peerAddress: string | null): Headers {
  const headers = endToEnd(request.headers);
  headers.delete("host");
  headers.set("accept-encoding", "identity");
  const via = [request.headers.get("x-forwarded-for"), peerAddress ?? "127.0.0.1"];
  headers.set("x-forwarded-for", via.filter((address) => address !== null).join(", "));
  headers.set("x-forwarded-host", url.hostname);
  headers.set("x-forwarded-port", url.port || "80");
  headers.set("x-forwarded-proto", url.protocol.slice(0, -1));
  return headers;
}

function endToEnd(original: Headers): Headers {
  const headers = new Headers(original);
  const named = (original.get("connection") ?? "").split(",").map((name) => name.trim());
  for (const name of [...HOP_BY_HOP, ...named]) {
    if (name !== "") headers.delete(name);
  }
  return headers;
}

function isConnectionRefused(error: unknown): boolean {
  const texts = [error, error instanceof Error ? error.cause : undefined].map(String);
  return texts.some((text) => /connection refused/i.test(text));
}
