/**
 * The one way to the Fly Machines API: every request goes through {@link FlyClient.request},
 * which adds the token, a timeout, the trace context and an error with Fly's own request id.
 * https://fly.io/docs/machines/api/
 */
import type { z } from "zod/v3";
import type { Settings } from "../config/environment.ts";
import { childTraceparent, type TraceContext } from "../http/headers.ts";
import { truncate } from "../logging/log-format.ts";
import type { Redactor } from "../logging/redactor.ts";
import type { Runtime } from "../runtime.ts";
import { type Deadline, TimeoutError, withTimeout } from "../time.ts";
import { FlyError } from "./errors.ts";

/** Long enough for every error body in Fly's documentation. */
const MAX_ERROR_BODY_CHARACTERS = 2_000;

export interface FlyClientOptions {
  runtime: Pick<Runtime, "fetch" | "clock">;
  /** `FLY_API_HOSTNAME`, without a trailing slash. */
  baseUrl: string;
  /** `FLY_API_TOKEN`, with or without the `FlyV1 ` scheme in front. */
  token: string;
  /** `FLY_REQUEST_TIMEOUT_SECONDS` in milliseconds: the longest that one call may take. */
  requestTimeoutMs: number;
  /** Removes secrets from Fly.io's texts before any of them is kept. */
  redact(text: string): string;
  /** Sent as `traceparent` with every call. https://www.w3.org/TR/trace-context/ */
  traceparent?: string | undefined;
}

export interface FlyRequest<T> {
  method: "GET" | "POST" | "DELETE";
  /** Below `/v1`, with a leading slash. */
  path: string;
  query?: Record<string, string>;
  body?: unknown;
  /** The shape of a successful answer. */
  schema: z.ZodType<T, z.ZodTypeDef, unknown>;
  /** The budget of the whole operation; the call gets what is left of it at most. */
  deadline: Deadline;
  /** Milliseconds on top of the usual timeout, for calls that wait at Fly's side. */
  extraTimeoutMs?: number;
  signal?: AbortSignal | undefined;
}

export interface FlyResponse<T> {
  data: T;
  status: number;
  statusText: string;
  flyRequestId: string | null;
  durationMs: number;
}

/** A client for one request, whose trace its calls carry on. */
export function openFlyClient(
  { runtime, redactor }: { runtime: Runtime; redactor: Redactor },
  settings: Pick<Settings, "FLY_API_HOSTNAME" | "FLY_API_TOKEN" | "FLY_REQUEST_TIMEOUT_SECONDS">,
  trace: TraceContext | undefined,
): FlyClient {
  return new FlyClient({
    runtime,
    baseUrl: settings.FLY_API_HOSTNAME,
    token: settings.FLY_API_TOKEN,
    requestTimeoutMs: settings.FLY_REQUEST_TIMEOUT_SECONDS * 1_000,
    redact: (text) => redactor.redact(text),
    traceparent: trace && childTraceparent(trace, runtime.randomBytes(8)),
  });
}

export class FlyClient {
  constructor(private readonly options: FlyClientOptions) {}

  /** Throws {@link FlyError}; or the signal's reason, when `signal` is aborted. */
  async request<T>(request: FlyRequest<T>): Promise<FlyResponse<T>> {
    const { runtime, requestTimeoutMs } = this.options;
    const timeoutMs = Math.min(
      requestTimeoutMs + (request.extraTimeoutMs ?? 0),
      request.deadline.remainingMs(),
    );
    const startedAt = runtime.clock.now();
    try {
      return await withTimeout(
        runtime.clock,
        timeoutMs,
        (signal) => this.send(request, signal, startedAt),
        request.signal,
      );
    } catch (error) {
      if (error instanceof FlyError) throw error;
      if (request.signal?.aborted) throw error;
      if (error instanceof TimeoutError) {
        throw new FlyError("timeout", `Fly.io did not answer within ${timeoutMs} ms`, {
          cause: error,
        });
      }
      const reason = error instanceof Error ? error.message : String(error);
      throw new FlyError("network", `Fly.io could not be reached: ${reason}`, { cause: error });
    }
  }

  private async send<T>(
    request: FlyRequest<T>,
    signal: AbortSignal,
    startedAt: number,
  ): Promise<FlyResponse<T>> {
    const { runtime, baseUrl, token, traceparent } = this.options;
    const query = request.query ? `?${new URLSearchParams(request.query)}` : "";
    const response = await runtime.fetch(`${baseUrl}/v1${request.path}${query}`, {
      method: request.method,
      headers: {
        // flyctl sends a macaroon under its own scheme and everything else as a bearer token.
        authorization: token.startsWith("FlyV1 ") ? token : `Bearer ${token}`,
        accept: "application/json",
        ...(request.body === undefined ? {} : { "content-type": "application/json" }),
        ...(traceparent ? { traceparent } : {}),
      },
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      redirect: "error",
      signal,
    });
    const flyRequestId = requestIdIn(response.headers);
    const { status, statusText } = response;
    const raw = await readText(response, flyRequestId);
    if (!response.ok) {
      const text = this.redactBody(raw);
      throw new FlyError("status", `Fly.io answered ${status}: ${errorText(text)}`, {
        method: request.method,
        status,
        statusText,
        body: truncate(text, MAX_ERROR_BODY_CHARACTERS),
        flyRequestId,
        retryAfterMs: parseRetryAfter(response.headers.get("retry-after"), runtime.clock.now()),
      });
    }
    const parsed = request.schema.safeParse(parseJson(raw));
    if (!parsed.success) {
      throw new FlyError("body", "Fly.io's answer could not be read", {
        status,
        body: truncate(this.redactBody(raw), MAX_ERROR_BODY_CHARACTERS),
        flyRequestId,
        cause: parsed.error,
      });
    }
    const durationMs = runtime.clock.now() - startedAt;
    return { data: parsed.data, status, statusText, flyRequestId, durationMs };
  }

  /** `text` without secrets. To be called before truncating: half a secret is not recognised. */
  redact(text: string): string {
    return this.options.redact(text);
  }

  /**
   * An answer as it may be shown. Each string of JSON is redacted on its own: what is escaped twice,
   * or as Fly.io escapes `&`, is itself only when it was parsed.
   */
  private redactBody(raw: string): string {
    const body = parseJson(
      raw,
      (_, value) => typeof value === "string" ? this.redact(value) : value,
    );
    const text = body === undefined ? this.redact(raw) : this.redact(JSON.stringify(body));
    // Postgres stores no NUL, and a row must not stay open because Fly.io sent one.
    return text.replaceAll("\0", "\uFFFD");
  }
}

/**
 * What Fly.io's support asks for: a ULID and a region, as in 01HJ4V8CB7S3B4N8MJ54FZ9JPM-iad. It is kept
 * in events that users read, so nothing else that stands there is passed on.
 */
function requestIdIn(headers: Headers): string | null {
  return headers.get("fly-request-id")?.match(/^[0-9A-Z]{26}-[a-z]{3,4}$/)?.[0] ?? null;
}

async function readText(response: Response, flyRequestId: string | null): Promise<string> {
  try {
    return await response.text();
  } catch (cause) {
    // The status arrived, the body did not: whatever was asked for may well have happened.
    throw new FlyError("body", `Fly.io's answer broke off: ${cause}`, {
      status: response.status,
      flyRequestId,
      cause,
    });
  }
}

function parseJson(text: string, reviver?: (key: string, value: unknown) => unknown): unknown {
  try {
    return JSON.parse(text, reviver);
  } catch {
    // `undefined` fits no schema, so this ends as an answer that could not be read.
    return undefined;
  }
}

/** The `error` of Fly's error body, or its `message` where there is none, or the body itself. */
function errorText(text: string): string {
  const body = parseJson(text);
  const parts = typeof body === "object" && body !== null ? body : {};
  const found = "error" in parts ? parts.error : "message" in parts ? parts.message : text;
  const said = typeof found === "string" ? found.trim() : JSON.stringify(found);
  // JSON may hold an escaped NUL, which Postgres does not store either.
  return truncate(said.replaceAll("\0", "\uFFFD"), 300) || "no reason";
}

/** `Retry-After` in milliseconds: seconds or a date. https://www.rfc-editor.org/rfc/rfc9110#field.retry-after */
function parseRetryAfter(value: string | null, now: number): number | undefined {
  if (value === null) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1_000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
