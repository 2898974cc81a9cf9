import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import type { Runtime } from "../runtime.ts";
import type { Database } from "./types.ts";

export type DatabaseClient = SupabaseClient<Database>;

/** A client with service rights for the database. One an isolate, so that connections are kept. */
export function createDatabaseClient(
  url: string,
  serviceKey: string,
  runtime: Pick<Runtime, "fetch">,
): DatabaseClient {
  return createClient<Database>(url, serviceKey, {
    // Nobody signs in here. Without this each call would first look for a session.
    accessToken: () => Promise.resolve(null),
    global: { fetch: (input, init) => runtime.fetch(input, init) },
  });
}
