-- What GET /health asks of the database, in one call.

create function public.read_health() returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    -- The newest migration. The function's code names the one that it was written for.
    'schema_version', '20261101000700',
    'reconcile_age_seconds', (
      select extract(epoch from now() - max(created_at)) from public.reconcile_runs
    ),
    'overdue_rows', (
      select count(*) from public.cloud_machines
      where status = 'provisioning' and deadline_at < now() - interval '2 minutes'
    ),
    -- Tried in vain, or given up within the last day.
    'undelivered_alerts', (
      select count(*) from public.alerts
      where sent_at is null and attempts > 0 and (
        next_attempt_at is not null or created_at > now() - interval '1 day'
      )
    )
  )
$$;

comment on function public.read_health is
  'Schema version, age of the last reconcile, rows that reconcile should have closed by now, and alerts that nobody got.';

revoke execute on function public.read_health from public, anon, authenticated;
grant execute on function public.read_health to service_role;
