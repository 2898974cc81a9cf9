/** One call over HTTP: sent again while its answers get lost, and every failure typed. */
import { type Answer, asObject, parseJson } from "./answers.ts";
import { failed, ProvisionMachineError, toError } from "./errors.ts";
import { onAbort, reasonOf } from "./host.ts";
import type { CallOptions, ClientOptions } from "./types.ts";
import { backoff, waitUntilWorthTrying } from "./wait.ts";

/**
 * Statuses of a gateway that could not reach the function just then; 546 is Supabase's own.
 * https://supabase.com/docs/guides/functions/status-codes
 */
const TRANSIENT = [429, 502, 503, 504, 546];

export interface Request {
  method: "GET" | "POST" | "DELETE";
  /** The `Idempotency-Key`. */
  key?: string;
  prefer?: string | undefined;
  /** JSON. */
  body?: string | null;
}

/** How often, and for how long, if not as the client's options say. */
export interface Limits {
  maxAttempts?: number | undefined;
  timeoutMs?: number | undefined;
}

export type Call = (
  path: string,
  request: Request,
  options?: CallOptions & Limits,
) => Promise<Answer>;

/** A caller of the project at `supabaseUrl`; it keeps no state between calls. */
export function createCall(options: ClientOptions): Call {
  const { maxAttempts, timeoutMs, wait = waitUntilWorthTrying } = options;
  return async (path, request, { signal, onRetry, ...limits } = {}) => {
    for (let attempt = 1;; attempt++) {
      try {
        return await send(options, path, request, limits.timeoutMs ?? timeoutMs, signal);
      } catch (error) {
        if (signal?.aborted) throw reasonOf(signal);
        if (
          !(error instanceof ProvisionMachineError) ||
          attempt >= (limits.maxAttempts ?? maxAttempts ?? 5) ||
          !/^(network|unexpected)_/.test(error.code) ||
          !TRANSIENT.includes(error.status ?? 503)
        ) throw error;
        const delayMs = backoff(attempt, error.retryAfterSeconds);
        onRetry?.({ attempt, delayMs, error });
        await wait(delayMs, signal);
      }
    }
  };
}

async function send(
  { supabaseUrl, publishableKey, supabase, ...options }: ClientOptions,
  path: string,
  { method, key, prefer, body = null }: Request,
  timeoutMs = 160_000,
  signal?: AbortSignal,
): Promise<Answer> {
  const token = options.getAccessToken
    ? await options.getAccessToken()
    : (await supabase?.auth.getSession())?.data.session?.access_token;
  const headers = {
    apikey: publishableKey,
    ...(token && { authorization: `Bearer ${token}` }),
    ...(key && { "idempotency-key": key }),
    ...(prefer && { prefer }),
    ...(body && { "content-type": "application/json" }),
  };
  // Not `AbortSignal.any` and `AbortSignal.timeout`: React Native and older browsers lack them.
  const controller = new AbortController();
  const abort = () => controller.abort();
  const timer = setTimeout(abort, timeoutMs);
  const stop = onAbort(signal, abort);
  let response: Response;
  let answer: string;
  try {
    const init = { method, headers, body, signal: controller.signal };
    response = await (options.fetch ?? fetch)(supabaseUrl.replace(/\/+$/, "") + path, init);
    // An answer that breaks off in the middle counts as lost.
    answer = await response.text();
  } catch (cause) {
    throw failed("No answer", { idempotencyKey: key, cause });
  } finally {
    clearTimeout(timer);
    stop();
  }
  const parsed = parseJson(answer);
  if (!response.ok || parsed === undefined) throw toError(response, asObject(parsed), key);
  return { body: parsed, headers: response.headers };
}
