-- No machine is destroyed, and no row written off, because of one wrong answer: it takes two sightings
-- at least a minute apart, which are kept here. And when many machines have no row at all, as after a
-- restored backup, none of them is destroyed until an operator decides.

alter table public.cloud_machines add column missing_since timestamptz;
comment on column public.cloud_machines.missing_since is
  'When Fly.io first did not know the machine of this running row; null again once it is seen.';

create index cloud_machines_missing on public.cloud_machines (id) where missing_since is not null;

create table public.fly_orphans (
  fly_machine_id text primary key,
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now()
);

comment on table public.fly_orphans is
  'Machines with a name of ours that no live row owns, as reconcile has seen them.';

create index fly_orphans_last_seen_at on public.fly_orphans (last_seen_at);

alter table public.installation add column orphans_held integer not null default 0;
comment on column public.installation.orphans_held is
  'Machines without a row that reconcile does not destroy before an operator decides.';

alter table public.fly_orphans enable row level security;
revoke all on public.fly_orphans from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.fly_orphans to service_role;

create function public.begin_reconcile(p_project_host text default null) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_fenced constant boolean := public.is_fenced(p_project_host);
begin
  return (select jsonb_build_object('fenced', v_fenced, 'tag', tag) from public.installation);
end
$$;

comment on function public.begin_reconcile is
  'What a run of reconcile has to know first: whether this database belongs to its project, and the tag in the names of its machines.';

-- One value, not a set: PostgREST cuts sets to its "max rows" without a word, and a row that is not in
-- the answer would pass for one that does not exist.
create function public.read_owners(p_names text[], p_fly_machine_ids text[]) returns jsonb
language sql
stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(to_jsonb(m)), '[]')
  from public.cloud_machines m
  where m.machine_id = any (p_names) or m.fly_machine_id = any (p_fly_machine_ids)
$$;

comment on function public.read_owners is
  'The rows that own machines with these names or Fly ids, in whatever status.';

create index cloud_machines_fly_machine_id
  on public.cloud_machines (fly_machine_id) where fly_machine_id is not null;

create function public.note_missing_machine(p_id uuid) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_since timestamptz;
begin
  update public.cloud_machines set missing_since = coalesce(missing_since, now())
  where id = p_id and status = 'running' and destroy_requested_at is null
  returning missing_since into v_since;
  return jsonb_build_object(
    'confirmed', coalesce(v_since <= now() - interval '1 minute', false)
  );
end
$$;

comment on function public.note_missing_machine is
  'Fly.io does not know the machine of this running row. confirmed: a first sighting was at least a minute ago.';

create function public.note_present_machines(p_fly_machine_ids text[]) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_count integer;
begin
  update public.cloud_machines set missing_since = null
  where missing_since is not null and fly_machine_id = any (p_fly_machine_ids);
  get diagnostics v_count = row_count;
  return v_count;
end
$$;

comment on function public.note_present_machines is
  'Fly.io knows these machines: an earlier sighting of their absence was wrong.';

create function public.note_orphans(p_fly_machine_ids text[]) returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  -- A sighting that was not repeated for an hour was wrong, or its machine is gone.
  delete from public.fly_orphans where last_seen_at < now() - interval '1 hour';
  insert into public.fly_orphans (fly_machine_id)
  select unnest(p_fly_machine_ids)
  on conflict (fly_machine_id) do update set last_seen_at = now();
  return (
    select coalesce(jsonb_agg(o.fly_machine_id), '[]')
    from public.fly_orphans o
    where o.fly_machine_id = any (p_fly_machine_ids) and o.first_seen_at <= now() - interval '1 minute'
  );
end
$$;

comment on function public.note_orphans is
  'Records a sighting of machines that no live row owns. Returns those first seen at least a minute ago.';

create function public.hold_orphans(p_count integer) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_before integer;
begin
  select orphans_held into v_before from public.installation for update;
  update public.installation set orphans_held = p_count where only_row and orphans_held <> p_count;
  return v_before;
end
$$;

comment on function public.hold_orphans is
  'Sets how many machines without a row are held back from destruction, and returns how many were before.';

-- A machine that was written off and is started all the same gets its row back.
create or replace function public.cloud_machines_before_update() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();

  if new.status <> old.status and not (
    (old.status = 'provisioning' and new.status in ('running', 'error', 'destroyed'))
    or (old.status = 'running' and new.status in ('error', 'destroyed'))
    or (old.status = 'error' and new.status = 'destroyed')
    or (old.status = 'error' and old.error_code = 'machine_lost' and new.status = 'running')
  ) then
    raise exception 'cloud_machines: % cannot become %', old.status, new.status
      using errcode = 'check_violation';
  end if;
  if new.status <> 'running' then
    new.missing_since := null;
  end if;

  -- The owner was deleted, so nobody else will ask for this machine to be destroyed.
  if old.user_id is not null and new.user_id is null
    and new.status in ('provisioning', 'running') then
    new.destroy_requested_at := coalesce(new.destroy_requested_at, now());
    new.reconcile_at := least(new.reconcile_at, now());
  end if;

  return new;
end
$$;

create function public.mark_machine_found(
  p_id uuid,
  p_request_id text,
  p_duration_ms integer
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_machine public.cloud_machines;
begin
  update public.cloud_machines
  set status = 'running', error_code = null, error_message = null, reconcile_at = null
  where id = p_id and status = 'error' and error_code = 'machine_lost' and user_id is not null
    and destroy_requested_at is null and websocket_url is not null and provisioned_at is not null
  returning * into v_machine;
  if not found then
    return jsonb_build_object('outcome', 'conflict');
  end if;
  insert into public.machine_events (cloud_machine_id, request_id, kind, duration_ms)
  values (p_id, p_request_id, 'adopted', p_duration_ms);
  return jsonb_build_object('outcome', 'applied');
end
$$;

comment on function public.mark_machine_found is
  'error (machine_lost) -> running: the machine is started at Fly.io. outcome: applied, conflict.';

create function public.adopt_orphan(
  p_machine_id text,
  p_fly_machine_id text,
  p_fly_app_name text,
  p_region text,
  p_cpu_priority text,
  p_user_id uuid,
  p_websocket_url text,
  p_request_id text
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_id uuid;
begin
  insert into public.cloud_machines (
    machine_id, fly_machine_id, fly_app_name, region, cpu_priority, user_id, status,
    websocket_url, request_hash, request_id, deadline_at, provisioned_at
  ) values (
    p_machine_id, p_fly_machine_id, p_fly_app_name, p_region, p_cpu_priority, p_user_id, 'running',
    p_websocket_url, '', p_request_id, now(), now()
  )
  on conflict (machine_id) do nothing
  returning id into v_id;
  if v_id is null then
    return jsonb_build_object('outcome', 'conflict');
  end if;
  insert into public.machine_events (cloud_machine_id, request_id, kind)
  values (v_id, p_request_id, 'adopted');
  return jsonb_build_object('outcome', 'applied');
exception when foreign_key_violation then
  return jsonb_build_object('outcome', 'unknown_user');
end
$$;

comment on function public.adopt_orphan is
  'Writes the row of a machine that has none, from what Fly.io knows of it, after a restored backup. outcome: applied, conflict, unknown_user.';

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
    ),
    'orphans_held', (select orphans_held from public.installation),
    'project_host', (select project_host from public.installation)
  )
$$;

comment on function public.read_health is
  'What GET /health reads in one call: schema version, age of the last reconcile, rows that reconcile should have closed by now, alerts that could not be delivered, machines held back from destruction, and the project that the database belongs to.';

revoke execute on function
  public.begin_reconcile, public.read_owners, public.note_missing_machine,
  public.note_present_machines, public.note_orphans, public.hold_orphans,
  public.mark_machine_found, public.adopt_orphan
from public, anon, authenticated;
grant execute on function
  public.begin_reconcile, public.read_owners, public.note_missing_machine,
  public.note_present_machines, public.note_orphans, public.hold_orphans,
  public.mark_machine_found, public.adopt_orphan
to service_role;

notify pgrst, 'reload schema';

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261126000300' $$;
