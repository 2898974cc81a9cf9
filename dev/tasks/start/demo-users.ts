/** Users to try the function with. On a database that is kept they are there from the run before. */
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { type LocalSupabase, mintUserToken } from "../../stack/supabase/mod.ts";

/** The same for each of them; a local stack guards nothing. */
export const DEMO_PASSWORD = "demo-password";
const TOKEN_LIFETIME_SECONDS = 24 * 60 * 60;

export interface DemoUser {
  id: string;
  email: string;
  /** Signed in, over HTTP, as an application is. */
  client: SupabaseClient;
}

/**
 * Signs a user up, or in.
 *
 * @throws Error when Auth refuses both
 */
export async function signUpOrIn(supabase: LocalSupabase, email: string): Promise<DemoUser> {
  const client = createClient(supabase.url, supabase.publishableKey, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
  });
  const credentials = { email, password: DEMO_PASSWORD };
  const signUp = await client.auth.signUp(credentials);
  const { data, error } = signUp.error?.code === "user_already_exists"
    ? await client.auth.signInWithPassword(credentials)
    : signUp;
  if (error) throw new Error(`${email} cannot sign up or in: ${error.message}`, { cause: error });
  if (!data.user) throw new Error(`${email} cannot sign up or in: Auth answered without a user`);
  return { id: data.user.id, email, client };
}

/** An access token that outlives the hour of a session, for commands that are pasted later. */
export function longLivedToken(supabase: LocalSupabase, { id, email }: DemoUser): Promise<string> {
  return mintUserToken({
    userId: id,
    email,
    key: supabase.jwtSecret,
    expiresInSeconds: TOKEN_LIFETIME_SECONDS,
  });
}

/** Reads the user's machines of a run before, which count against the limit of machines per user. */
export async function oldMachines({ client, email }: DemoUser): Promise<string[]> {
  const { data, error } = await client.from("cloud_machines")
    .select("machine_id")
    .in("status", ["provisioning", "running"]);
  if (error) throw new Error(`The rows of ${email} cannot be read: ${error.message}`);
  return data.map(({ machine_id }) => String(machine_id));
}
