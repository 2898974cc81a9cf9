/** Reads the user's rows of `cloud_machines`; row level security hides all others. */
import { toRows } from "./answers.ts";
import type { Call, Limits } from "./call.ts";
import type { ListedMachine } from "./rows.ts";
import type { ListOptions } from "./types.ts";

/**
 * The newest machines, newest first, in the Data API's own query language:
 * https://docs.postgrest.org/en/stable/references/api/tables_views.html
 */
export async function list(
  call: Call,
  { limit = 100, events, ...options }: ListOptions & Limits = {},
): Promise<ListedMachine[]> {
  const path = "/rest/v1/cloud_machines?order=created_at.desc&limit=" + limit +
    (events ? "&select=*,machine_events(*)&machine_events.order=id" : "");
  return toRows((await call(path, { method: "GET" }, options)).body);
}
