/** Remembers the names of all machines that ever were in the warm pool, as entries do not last. */
import type { LocalSupabase } from "../../dev/stack/supabase/mod.ts";

export async function rememberPool(supabase: LocalSupabase): Promise<void> {
  const statements = [
    "create schema pool_names",
    "create table pool_names.names (machine_id text primary key)",
    `create function pool_names.remember() returns trigger language plpgsql security definer as $$
     begin
       insert into pool_names.names values (new.machine_id) on conflict do nothing;
       return null;
     end $$`,
    `create trigger remember after insert on public.pooled_machines
     for each row execute function pool_names.remember()`,
  ];
  for (const statement of statements) await supabase.sql(statement);
}
