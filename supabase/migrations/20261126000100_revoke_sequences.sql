-- Supabase grants everything in "public" to its API roles. The earlier migrations take that away from
-- tables and functions; this one does the same for the sequences behind the identity columns.
-- Inserting needs no privilege on those:
-- https://www.postgresql.org/docs/current/sql-createtable.html#SQL-CREATETABLE-PARMS-GENERATED-IDENTITY

revoke all on sequence
  public.alerts_id_seq, public.fly_create_slots_id_seq, public.machine_events_id_seq,
  public.reconcile_runs_id_seq
from public, anon, authenticated, service_role;

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261126000100' $$;
