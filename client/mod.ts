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
 *   console.error(error.code, error.message, error.requestId, error.retry);
 * }
 * ```
 *
 * A call whose answer got lost is sent again with the same `Idempotency-Key`, so that it never creates
 * a second machine. An answer that reports an error is not retried: `retry` says whether to call
 * `provision` a second time, and `same_key` to pass it the error's `idempotencyKey`.
 */

import { jsonObject, toConnection, toMachine } from "./answers.ts";
import { ProvisionMachineError, text, toError } from "./errors.ts";
import type { CallOptions, ClientOptions, ProvisionMachineClient } from "./types.ts";
import { waitUntilWorthTrying } from "./wait.ts";

export {
  ERROR_CODES,
  type ErrorCode,
  ProvisionMachineError,
  RETRIES,
  type Retry,
} from "./errors.ts";
export type {
  CallOptions,
  ClientOptions,
  Connection,
  CpuPriority,
  Machine,
  ProvisionMachineClient,
  ProvisionOptions,
  ProvisionRequest,
} from "./types.ts";
export { waitUntilWorthTrying } from "./wait.ts";

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 8_000;
/**
 * Statuses of a gateway that could not reach the function just then; 546 is Supabase's own.
 * https://supabase.com/docs/guides/functions/status-codes
 */
const TRANSIENT = [429, 502, 503, 504, 546];

/** Creates a client; it keeps no state between calls. */
export function createProvisionMachineClient(options: ClientOptions): ProvisionMachineClient {
  const { maxAttempts = 5, wait = waitUntilWorthTrying } = options;

  /** Sends a call, and again while its answers get lost or a gateway answers in its place. */
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

  async function change(
    machineId: string,
    what: "start" | "stop" | "suspend",
    callOptions: CallOptions = {},
  ) {
    const path = `/${encodeURIComponent(machineId)}/${what}`;
    const { body, headers } = await call(path, { method: "POST" }, callOptions);
    return toMachine(body, headers);
  }

  return {
    start: (machineId, callOptions) => change(machineId, "start", callOptions),
    stop: (machineId, callOptions) => change(machineId, "stop", callOptions),
    suspend: (machineId, callOptions) => change(machineId, "suspend", callOptions),
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
    // An answer that breaks off in the middle counts as lost.
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
