import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { withTimeout } from "../deadline.ts";
import type { Runtime } from "../runtime.ts";
import type { Database } from "./types.ts";

export type Supabase = SupabaseClient<Database>;

/** Supabase answers in milliseconds; whatever takes this long will not come. */
const CALL_TIMEOUT_MS = 10_000;

/**
 * A client with service rights, for the Auth server and the database. One an isolate, so that
 * connections and the keys that verify tokens are kept.
 */
export function createServiceClient(
  url: string,
  serviceKey: string,
  runtime: Pick<Runtime, "fetch" | "clock">,
): Supabase {
  return createClient<Database>(url, serviceKey, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    global: {
      // The answer's body is read inside the limit too: a connection can stall in the middle.
      fetch: (input, init) =>
        withTimeout(runtime.clock, CALL_TIMEOUT_MS, async (signal) => {
          const response = await runtime.fetch(input, { ...init, signal });
          const body = [101, 204, 205, 304].includes(response.status)
            ? null
            : await response.arrayBuffer();
          return new Response(body, response);
        }, init?.signal ?? undefined),
    },
  });
}
