import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { withTimeout } from "../deadline.ts";
import type { Runtime } from "../runtime.ts";
import type { Database } from "./types.ts";

export type Supabase = SupabaseClient<Database>;

/** The Auth server answers in milliseconds; whatever takes this long will not come. */
const AUTH_TIMEOUT_MS = 10_000;

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
      // A call to the database comes with the signal of its own limit. auth-js has none for its
      // calls; their answer's body is read inside the limit too, for a connection can stall there.
      fetch: (input, init) =>
        init?.signal
          ? runtime.fetch(input, init)
          : withTimeout(runtime.clock, AUTH_TIMEOUT_MS, async (signal) => {
            const response = await runtime.fetch(input, { ...init, signal });
            return new Response(await response.arrayBuffer(), response);
          }),
    },
  });
}
