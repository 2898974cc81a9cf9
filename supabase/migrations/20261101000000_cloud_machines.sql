-- cloud_machines: one row per machine that a user asked for. The row is written before Fly.io is
-- touched and closed by whoever knows the outcome first: the request, a DELETE, or reconcile.

create table public.cloud_machines (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references auth.users (id) on delete set null,
  machine_id text not null unique,
  fly_machine_id text,
  fly_app_name text,
  region text not null,
  cpu_priority text not null,
  status text not null default 'provisioning',
  websocket_url text,
  error_code text,
  error_message text,
  idempotency_key text,
  request_hash text not null,
  request_id text not null,
  deadline_at timestamptz not null,
  reconcile_at timestamptz,
  destroy_requested_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  provisioned_at timestamptz,

  constraint machine_id_is_a_fly_machine_name
    check (machine_id ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  constraint cpu_priority_is_known check (cpu_priority in ('low', 'normal', 'high')),
  constraint status_is_known check (status in ('provisioning', 'running', 'error', 'destroyed')),
  constraint error_row_says_why
    check (
      (status = 'error' and error_code is not null and error_message is not null)
      or (status <> 'error' and error_code is null and error_message is null)
    ),
  constraint error_code_is_known
    check (error_code in (
      'configuration_error', 'database_error', 'fly_unauthorized', 'fly_rate_limited',
      'fly_capacity', 'fly_rejected', 'fly_unavailable', 'fly_invalid_response',
      'machine_failed', 'provision_timeout', 'internal_error',
      'interrupted', 'machine_lost'
    )),
  constraint running_row_has_a_machine
    check (
      status <> 'running'
      or (
        fly_machine_id is not null and fly_app_name is not null
        and websocket_url is not null and provisioned_at is not null
      )
    ),
  constraint provisioning_row_is_reconciled check (status <> 'provisioning' or reconcile_at is not null),
  constraint running_row_is_reconciled_only_to_destroy
    check (status <> 'running' or (reconcile_at is null) = (destroy_requested_at is null)),
  constraint websocket_url_is_a_websocket check (websocket_url ~ '^wss?://'),
  constraint idempotency_key_is_visible_ascii check (idempotency_key ~ '^[!-~]{1,255}$')
);

comment on table public.cloud_machines is
  'One row per cloud machine. Written before Fly.io is called; no row stays provisioning past its deadline.';
comment on column public.cloud_machines.user_id is
  'Owner. Null once the user is deleted: the machine is then destroyed by reconcile.';
comment on column public.cloud_machines.machine_id is
  'The Fly machine''s name, unique; what callers see.';
comment on column public.cloud_machines.fly_machine_id is
  'Fly.io''s id of the machine, written as soon as it is known.';
comment on column public.cloud_machines.fly_app_name is
  'The Fly app that holds the machine. Null only when the setting was missing.';
comment on column public.cloud_machines.region is
  'The region that Fly.io returned; until then the one asked for.';
comment on column public.cloud_machines.cpu_priority is
  'low: shared 1 CPU 256 MB; normal: shared 2 CPU 512 MB; high: performance 1 CPU 2048 MB.';
comment on column public.cloud_machines.status is
  'provisioning, running, error or destroyed.';
comment on column public.cloud_machines.websocket_url is 'Where the owner connects.';
comment on column public.cloud_machines.error_code is
  'Set exactly when status is error; the code of the HTTP answer, or interrupted / machine_lost (written by reconcile).';
comment on column public.cloud_machines.error_message is 'Set exactly when status is error.';
comment on column public.cloud_machines.idempotency_key is
  'The caller''s Idempotency-Key; one row per user and key.';
comment on column public.cloud_machines.request_hash is
  'SHA-256 of the request, to tell a repeated request from a reused key.';
comment on column public.cloud_machines.request_id is 'x-request-id of the call that wrote the row.';
comment on column public.cloud_machines.deadline_at is
  'The request has closed the row by then; if it has not, it died.';
comment on column public.cloud_machines.reconcile_at is
  'From then on reconcile looks at the row: a request past its deadline, or a Fly machine that must be confirmed gone. Null: nothing to do.';
comment on column public.cloud_machines.destroy_requested_at is
  'Somebody wants the machine gone. Set before Fly.io is asked, so that a crash in between loses nothing.';
comment on column public.cloud_machines.provisioned_at is 'When the machine was first seen started.';

-- One row per (user, Idempotency-Key), whatever races.
create unique index cloud_machines_user_id_idempotency_key
  on public.cloud_machines (user_id, idempotency_key)
  where idempotency_key is not null;
-- claim_machine counts a user's live machines.
create index cloud_machines_live_by_user
  on public.cloud_machines (user_id)
  where status in ('provisioning', 'running');
-- Owners list their machines newest first; also serves the foreign key to auth.users.
create index cloud_machines_user_id_created_at
  on public.cloud_machines (user_id, created_at desc);
-- take_due_machines reads the rows that are due, oldest first.
create index cloud_machines_reconcile_at
  on public.cloud_machines (reconcile_at)
  where reconcile_at is not null;

-- ---------------------------------------------------------------------------------------------

create table public.machine_events (
  id bigint generated always as identity primary key,
  cloud_machine_id uuid references public.cloud_machines (id) on delete cascade,
  request_id text not null,
  kind text not null,
  error_code text,
  duration_ms integer,
  detail jsonb not null default '{}',
  created_at timestamptz not null default now(),

  constraint kind_is_known
    check (kind in (
      'claimed', 'fly_machine_recorded', 'running', 'failed',
      'handed_over', 'destroy_requested', 'destroyed', 'interrupted', 'adopted', 'cleaned_up', 'machine_lost'
    )),
  constraint duration_is_not_negative check (duration_ms >= 0),
  constraint detail_is_an_object check (jsonb_typeof(detail) = 'object')
);

comment on table public.machine_events is
  'Append-only history: one row per transition of a cloud machine.';
comment on column public.machine_events.cloud_machine_id is 'The machine''s row.';
comment on column public.machine_events.request_id is 'x-request-id of the call that caused it.';
comment on column public.machine_events.kind is 'What happened.';
comment on column public.machine_events.error_code is 'For failures: the code of the row.';
comment on column public.machine_events.duration_ms is
  'Milliseconds since the call that caused the event began.';
comment on column public.machine_events.detail is 'What else an operator may want to know; never a secret.';

-- The events of one machine in order; also serves the foreign key.
create index machine_events_cloud_machine_id on public.machine_events (cloud_machine_id, id);

-- ---------------------------------------------------------------------------------------------

create function public.cloud_machines_before_update() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();

  if new.status <> old.status and not (
    (old.status = 'provisioning' and new.status in ('running', 'error', 'destroyed'))
    or (old.status = 'running' and new.status in ('error', 'destroyed'))
    or (old.status = 'error' and new.status = 'destroyed')
  ) then
    raise exception 'cloud_machines: % cannot become %', old.status, new.status
      using errcode = 'check_violation';
  end if;

  -- The owner was deleted: nobody will ask for this machine to be destroyed, so reconcile does.
  if old.user_id is not null and new.user_id is null
    and new.status in ('provisioning', 'running') then
    new.destroy_requested_at := coalesce(new.destroy_requested_at, now());
    new.reconcile_at := least(new.reconcile_at, now());
  end if;

  return new;
end
$$;

create trigger cloud_machines_before_update
  before update on public.cloud_machines
  for each row execute function public.cloud_machines_before_update();

create function public.machine_events_are_append_only() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception 'machine_events is append-only' using errcode = 'insufficient_privilege';
end
$$;

create trigger machine_events_are_append_only
  before update on public.machine_events
  for each row execute function public.machine_events_are_append_only();

-- ---------------------------------------------------------------------------------------------
-- Who may do what. Supabase grants everything in public to its API roles by default, so
-- everything is taken away first; row level security then narrows what is left.

alter table public.cloud_machines enable row level security;
alter table public.machine_events enable row level security;

revoke all on public.cloud_machines, public.machine_events from public, anon, authenticated, service_role;
revoke execute on function public.cloud_machines_before_update(), public.machine_events_are_append_only()
  from public, anon, authenticated, service_role;

grant select on public.cloud_machines, public.machine_events to authenticated;
grant select, insert, update on public.cloud_machines to service_role;
grant select, insert on public.machine_events to service_role;

create policy "Owners read their own machines"
  on public.cloud_machines for select
  to authenticated
  using (user_id = (select auth.uid()));

create policy "Owners read the events of their own machines"
  on public.machine_events for select
  to authenticated
  using (
    exists (
      select 1 from public.cloud_machines m
      where m.id = machine_events.cloud_machine_id and m.user_id = (select auth.uid())
    )
  );

-- Realtime, where the platform has it: owners see the status change without polling.
do $$
begin
  if exists (select 1 from pg_catalog.pg_publication where pubname = 'supabase_realtime') then
    alter publication supabase_realtime add table public.cloud_machines, public.machine_events;
  else
    raise notice 'publication supabase_realtime does not exist: changes are not sent over Realtime';
  end if;
end
$$;
