-- The schema's version gets a function of its own, so that a migration that changes nothing else
-- about GET /health need not repeat read_health(). Every later migration ends with:
--
--   create or replace function public.schema_version() returns text
--   language sql immutable set search_path = ''
--   as $$ select '<version of the migration>' $$;

create function public.schema_version() returns text
language sql
immutable
set search_path = ''
as $$ select '20261126000000' $$;

comment on function public.schema_version is
  'Version of the newest migration. GET /health compares it with the version that the code expects.';

revoke execute on function public.schema_version from public, anon, authenticated;
grant execute on function public.schema_version to service_role;

create or replace function public.read_health() returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'schema_version', public.schema_version(),
    'reconcile_age_seconds', (
      select extract(epoch from now() - max(created_at)) from public.reconcile_runs
    ),
    -- Reconcile runs every minute, so it should have closed these by now.
    'overdue_rows', (
      select count(*) from public.cloud_machines
      where status = 'provisioning' and deadline_at < now() - interval '2 minutes'
    ),
    -- Delivery failed and is due again, or was given up within the last day.
    'undelivered_alerts', (
      select count(*) from public.alerts
      where sent_at is null and attempts > 0 and (
        next_attempt_at is not null or created_at > now() - interval '1 day'
      )
    )
  )
$$;

comment on function public.read_health is
  'What GET /health reads in one call: schema version, age of the last reconcile, rows that reconcile should have closed by now, and alerts that could not be delivered.';
