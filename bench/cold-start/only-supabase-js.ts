/** What a function costs that talks to Supabase at all. */
import { createClient } from "@supabase/supabase-js";

Deno.serve(() => new Response(typeof createClient, { status: 401 }));
