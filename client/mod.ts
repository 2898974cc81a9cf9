/**
 * A typed client of the Edge Function `provision-machine` for browsers. It depends on nothing but
 * `fetch`: copy this folder into your frontend.
 *
 * ```ts
 * import { createClient } from "@supabase/supabase-js";
 * import { createProvisionMachineClient, ProvisionMachineError } from "./client/mod.ts";
 *
 * const supabase = createClient(supabaseUrl, publishableKey);
 * const machines = createProvisionMachineClient({
 *   functionUrl: `${supabaseUrl}/functions/v1/provision-machine`,
 *   publishableKey,
 *   getAccessToken: async () => (await supabase.auth.getSession()).data.session?.access_token,
 * });
 *
 * try {
 *   const { machineId } = await machines.provision({ cpuPriority: "low" });
 *   const { url } = await machines.connect(machineId); // again before each new connection
 *   const socket = new WebSocket(url);
 *   await machines.destroy(machineId);
 * } catch (error) {
 *   if (!(error instanceof ProvisionMachineError)) throw error;
 *   console.error(error.code, error.message, error.requestId, error.retryAfterSeconds);
 * }
 * ```
 *
 * A call whose answer got lost is sent again with the same `Idempotency-Key`, so that it never makes
 * a second machine. An answer that says what went wrong is never retried by itself: to try again
 * after it, call `provision` anew.
 */

import { ProvisionMachineError, text, toError } from "./errors.ts";
import { waitUntilWorthTrying } from "./wait.ts";

export { ERROR_CODES, type ErrorCode, ProvisionMachineError } from "./errors.ts";
export { waitUntilWorthTrying } from "./wait.ts";

export type CpuPriority = "low" | "normal" | "high";

/** What can be asked for; each has a default on the server. */
export interface ProvisionRequest {
  /** A region code of Fly.io, such as `iad`. */
  region?: string;
  cpuPriority?: CpuPriority;
}

/** A machine as the function answers it. */
export interface Machine {
  machineId: string;
  websocketUrl: string;
  /** `provisioning` only when `respondAsync` asked for an answer before the work is done. */
  status: "running" | "provisioning";
  region: string;
  flyMachineId: string | null;
  message: string;
  /** Name this to whoever runs the service when something is odd. */
  requestId: string;
  /** True when an earlier call with the same key made this machine. */
  replayed: boolean;
}

/** Where to connect to a machine, and what proves that the user may. */
export interface Connection {
  machineId: string;
  status: "running";
  websocketUrl: string;
  /** Opens this one machine until it expires. Do not log it. */
  token: string;
  /** `websocketUrl` with the token in it, for `new WebSocket(url)`. Do not log it either. */
  url: string;
  /** ISO 8601; a minute after the call. A connection may outlive it. */
  expiresAt: string;
  requestId: string;
}

export interface ClientOptions {
  /** `https://<project>.supabase.co/functions/v1/provision-machine` */
  functionUrl: string;
  /** Sent as `apikey`, as supabase-js does. */
  publishableKey: string;
  /** The signed-in user's access token, asked for before every attempt, so that it is a fresh one. */
  getAccessToken: () => Promise<string | null | undefined>;
  fetch?: typeof fetch;
  /** Attempts of one call whose answers get lost. Default 5. */
  maxAttempts?: number;
  /** After how long an attempt counts as lost. Default 160,000: the platform gives up after 150 s. */
  timeoutMs?: number;
  /** What happens between two attempts. Default {@link waitUntilWorthTrying}. */
  wait?: (delayMs: number, signal: AbortSignal | undefined) => Promise<void>;
}

export interface CallOptions {
  signal?: AbortSignal;
  /** Told before an attempt is repeated, with the error that made it necessary. */
  onRetry?: (retry: { attempt: number; delayMs: number; error: ProvisionMachineError }) => void;
}

export interface ProvisionOptions extends CallOptions {
  /** Default: a new one. Give the one of an earlier call to learn what became of that. */
  idempotencyKey?: string;
  /** Answer at once with `provisioning`; the row in `cloud_machines` then tells how it goes on. */
  respondAsync?: boolean;
}

export interface ProvisionMachineClient {
  /** @throws {ProvisionMachineError} */
  provision(request?: ProvisionRequest, options?: ProvisionOptions): Promise<Machine>;
  /**
   * Where to connect, for a minute; ask before each connection. A machine that does not run is
   * `machine_state_conflict`, with `retryAfterSeconds` while it is on its way.
   * @throws {ProvisionMachineError}
   */
  connect(machineId: string, options?: CallOptions): Promise<Connection>;
  /** Done already is done: destroying twice is no error. @throws {ProvisionMachineError} */
  destroy(machineId: string, options?: CallOptions): Promise<{ requestId: string }>;
}

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 8_000;
/** Statuses of a gateway whose function could not be reached just then; 546 is Supabase's own. */
const TRANSIENT = [429, 502, 503, 504, 546];

export function createProvisionMachineClient(options: ClientOptions): ProvisionMachineClient {
  const { maxAttempts = 5, wait = waitUntilWorthTrying } = options;

  /** One call: attempts until there is an answer that is worth giving back. */
  async function call(
    path: string,
    init: { method: string; headers?: Record<string, string>; body?: string },
    { signal, onRetry }: CallOptions,
  ): Promise<{ body: Record<string, unknown>; headers: Headers }> {
    for (let attempt = 1;; attempt++) {
      try {
        return await send(options, path, init, signal);
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof ProvisionMachineError)) throw error;
        const transient = error.code === "network_error" ||
          (error.code === "unexpected_response" && TRANSIENT.includes(error.status ?? 0));
        if (!transient || attempt >= maxAttempts) throw error;
        const delayMs = error.retryAfterSeconds === null
          ? Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), MAX_DELAY_MS)
          : error.retryAfterSeconds * 1_000;
        onRetry?.({ attempt, delayMs, error });
        await wait(delayMs, signal);
      }
    }
  }

  return {
    async provision(request = {}, { idempotencyKey, respondAsync = false, ...rest } = {}) {
      const key = idempotencyKey ?? crypto.randomUUID();
      const { body, headers } = await call("", {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "idempotency-key": key,
          ...(respondAsync ? { prefer: "respond-async" } : {}),
        },
        body: JSON.stringify(request),
      }, rest);
      return toMachine(body, headers);
    },
    async connect(machineId, callOptions = {}) {
      const path = `/${encodeURIComponent(machineId)}/connect`;
      const { body } = await call(path, { method: "POST" }, callOptions);
      return toConnection(body);
    },
    async destroy(machineId, callOptions = {}) {
      const path = `/${encodeURIComponent(machineId)}`;
      const { body } = await call(path, { method: "DELETE" }, callOptions);
      return { requestId: text(body["requestId"]) ?? "" };
    },
  };
}

async function send(
  { functionUrl, publishableKey, getAccessToken, timeoutMs = 160_000, ...options }: ClientOptions,
  path: string,
  init: { method: string; headers?: Record<string, string>; body?: string },
  signal: AbortSignal | undefined,
): Promise<{ body: Record<string, unknown>; headers: Headers }> {
  const idempotencyKey = init.headers?.["idempotency-key"] ?? null;
  const token = await getAccessToken();
  const timeout = AbortSignal.timeout(timeoutMs);
  let response: Response;
  let answer: string;
  try {
    response = await (options.fetch ?? fetch)(functionUrl + path, {
      ...init,
      headers: {
        ...init.headers,
        apikey: publishableKey,
        ...(token ? { authorization: `Bearer ${token}` } : {}),
      },
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    // An answer that breaks off in the middle is lost as well.
    answer = await response.text();
  } catch (cause) {
    signal?.throwIfAborted();
    throw new ProvisionMachineError("network_error", "The service could not be reached", {
      hint: "The answer is lost, so whether the call arrived is not known",
      idempotencyKey,
      cause,
    });
  }
  const body = jsonObject(answer);
  if (response.ok && body) return { body, headers: response.headers };
  throw toError(response, body, idempotencyKey);
}

function toMachine(body: Record<string, unknown>, headers: Headers): Machine {
  const { machineId, websocketUrl, status, region, flyMachineId, message, requestId } = body;
  if (
    typeof machineId !== "string" || typeof websocketUrl !== "string" ||
    typeof region !== "string" || (status !== "running" && status !== "provisioning")
  ) {
    throw new ProvisionMachineError("unexpected_response", "The answer describes no machine", {
      requestId: text(requestId),
    });
  }
  return {
    machineId,
    websocketUrl,
    status,
    region,
    flyMachineId: text(flyMachineId),
    message: text(message) ?? "",
    requestId: text(requestId) ?? "",
    replayed: headers.get("idempotency-replayed") === "true",
  };
}

function toConnection(body: Record<string, unknown>): Connection {
  const { machineId, status, websocketUrl, token, expiresAt, requestId } = body;
  if (
    typeof machineId !== "string" || status !== "running" || typeof token !== "string" ||
    typeof expiresAt !== "string" || typeof websocketUrl !== "string" ||
    !URL.canParse(websocketUrl)
  ) {
    throw new ProvisionMachineError("unexpected_response", "The answer describes no connection", {
      requestId: text(requestId),
    });
  }
  const url = new URL(websocketUrl);
  url.searchParams.set("token", token);
  return {
    machineId,
    status,
    websocketUrl,
    token,
    url: url.href,
    expiresAt,
    requestId: text(requestId) ?? "",
  };
}

function jsonObject(answer: string): Record<string, unknown> | null {
  try {
    const parsed: unknown = JSON.parse(answer);
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)
      ? parsed as Record<string, unknown>
      : null;
  } catch {
    // Not JSON, hence not an answer of the function.
    return null;
  }
}
