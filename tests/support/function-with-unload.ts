/**
 * The function as the platform shuts it down. Deno itself dispatches no `beforeunload` while a
 * server runs. https://supabase.com/docs/guides/functions/background-tasks
 */
// First, so that the signal is listened for before the function reports that it is up.
import "./unload-on-signal.ts";
import "../../supabase/functions/provision-machine/index.ts";
