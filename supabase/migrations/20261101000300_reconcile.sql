-- What reconcile reads and writes besides the transitions: its own history, and running rows in pages.

create table public.reconcile_runs (
  id bigint generated always as identity primary key,
  request_id text not null,
  duration_ms integer not null,
  counts jsonb not null,
  created_at timestamptz not null default now(),

  constraint duration_is_not_negative check (duration_ms >= 0),
  constraint counts_is_an_object check (jsonb_typeof(counts) = 'object')
);

comment on table public.reconcile_runs is 'Append-only: one row per finished run of reconcile.';
comment on column public.reconcile_runs.request_id is 'x-request-id of the run.';
comment on column public.reconcile_runs.duration_ms is 'How long the run took.';
comment on column public.reconcile_runs.counts is 'How many of each action the run took.';

-- When did reconcile last run?
create index reconcile_runs_created_at on public.reconcile_runs (created_at desc);

-- list_running_machines walks the running rows of an app in the order of their id.
create index cloud_machines_running_by_app
  on public.cloud_machines (fly_app_name, id)
  where status = 'running';

alter table public.reconcile_runs enable row level security;
revoke all on public.reconcile_runs from public, anon, authenticated, service_role;
grant select, insert on public.reconcile_runs to service_role;

create function public.list_running_machines(
  p_fly_app_name text,
  p_limit integer,
  p_after uuid default '00000000-0000-0000-0000-000000000000'
) returns jsonb
language sql
stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(to_jsonb(m) order by m.id), '[]')
  from (
    select * from public.cloud_machines
    where fly_app_name = p_fly_app_name and status = 'running' and id > p_after
    order by id
    limit p_limit
  ) m
$$;

comment on function public.list_running_machines is
  'A page of an app''s running rows in the order of their id, after p_after.';

create function public.record_reconcile_run(
  p_request_id text,
  p_duration_ms integer,
  p_counts jsonb
) returns void
language sql
set search_path = ''
as $$
  insert into public.reconcile_runs (request_id, duration_ms, counts)
  values (p_request_id, p_duration_ms, p_counts)
$$;

comment on function public.record_reconcile_run is 'Notes that a run of reconcile finished and what it did.';

revoke execute on function public.list_running_machines, public.record_reconcile_run
  from public, anon, authenticated;
grant execute on function public.list_running_machines, public.record_reconcile_run to service_role;
