import { GoTrueClient } from "@supabase/supabase-js";
import { withTimeout } from "../deadline.ts";
import type { Runtime } from "../runtime.ts";

export type AuthClient = GoTrueClient;

/** The Auth server answers in milliseconds; whatever takes this long will not come. */
const TIMEOUT_MS = 10_000;

/** A client for the Auth server. One an isolate, so that the keys that verify tokens are kept. */
export function createAuthClient(
  url: string,
  serviceKey: string,
  runtime: Pick<Runtime, "fetch" | "clock">,
): AuthClient {
  return new GoTrueClient({
    url: `${url}/auth/v1`,
    // Spelled as auth-js spells it, which replaces it by the user's token where that is sent.
    headers: { apikey: serviceKey, Authorization: `Bearer ${serviceKey}` },
    persistSession: false,
    autoRefreshToken: false,
    detectSessionInUrl: false,
    // auth-js sets no limit. The body is read inside it too, for a connection can stall there.
    fetch: (input, init) =>
      withTimeout(runtime.clock, TIMEOUT_MS, async (signal) => {
        const response = await runtime.fetch(input, { ...init, signal });
        return new Response(await response.arrayBuffer(), response);
      }),
  });
}
