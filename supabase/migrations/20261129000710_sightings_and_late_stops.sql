-- One wrong "not found" and one wrong "failed" do not confirm each other: each has its own first sighting.

alter table public.cloud_machines add column failed_since timestamptz;
comment on column public.cloud_machines.missing_since is
  'When Fly.io first did not know the machine of this live row; null again once it does.';
comment on column public.cloud_machines.failed_since is
  'When Fly.io first called the machine of this live row failed; null again once it is in another state.';

create or replace function public.cloud_machines_before_update() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();

  if new.status <> old.status and not (
    (old.status = 'provisioning' and new.status in ('running', 'error', 'destroyed'))
    or (old.status = 'running' and new.status in ('stopped', 'error', 'destroyed'))
    or (old.status = 'stopped' and new.status in ('running', 'error', 'destroyed'))
    or (old.status = 'error' and new.status = 'destroyed')
    or (old.status = 'error' and old.error_code = 'machine_lost' and new.status = 'running')
  ) then
    raise exception 'cloud_machines: % cannot become %', old.status, new.status
      using errcode = 'check_violation';
  end if;
  if new.status not in ('running', 'stopped') then
    new.missing_since := null;
  end if;
  if new.status <> old.status then
    new.failed_since := null;
  end if;
  if new.status <> 'stopped' then
    new.stop_reason := null;
  end if;

  -- The owner was deleted, so nobody else will ask for this machine to be destroyed.
  if old.user_id is not null and new.user_id is null
    and new.status in ('provisioning', 'running', 'stopped') then
    new.destroy_requested_at := coalesce(new.destroy_requested_at, now());
    new.reconcile_at := least(new.reconcile_at, now());
  end if;

  return new;
end
$$;

create function public.note_failed_machine(p_id uuid) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_since timestamptz;
begin
  update public.cloud_machines set failed_since = coalesce(failed_since, now()), missing_since = null
  where id = p_id and status in ('running', 'stopped') and destroy_requested_at is null
  returning failed_since into v_since;
  return jsonb_build_object(
    'confirmed', coalesce(v_since <= now() - interval '1 minute', false)
  );
end
$$;
comment on function public.note_failed_machine is
  'Fly.io calls the machine of this live row failed. confirmed: a first sighting was at least a minute ago.';
comment on function public.note_missing_machine is
  'Fly.io does not know the machine of this live row. confirmed: a first sighting was at least a minute ago.';
revoke execute on function public.note_failed_machine from public, anon, authenticated;
grant execute on function public.note_failed_machine to service_role;

create or replace function public.note_present_machines(p_fly_machine_ids text[]) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_count integer;
begin
  update public.cloud_machines set missing_since = null, failed_since = null
  where (missing_since is not null or failed_since is not null)
    and fly_machine_id = any (p_fly_machine_ids);
  get diagnostics v_count = row_count;
  return v_count;
end
$$;
comment on function public.note_present_machines is
  'Fly.io knows these machines, and they have not failed: earlier sightings were wrong.';

-- A stop that was asked for and failed explains no stop of much later: that one was Fly Proxy's, or the
-- owner's own doing at Fly.io, and its row says so.

create or replace function public.mark_machine_stopped(
  p_id uuid,
  p_reason text,
  p_request_id text,
  p_duration_ms integer,
  p_detail jsonb default '{}',
  p_unchanged_for_ms integer default 0
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_before public.cloud_machines;
  v_machine public.cloud_machines;
  v_reason text := p_reason;
  v_crashed boolean;
  v_intent public.machine_events;
  v_over timestamptz;
begin
  select * into v_before from public.cloud_machines where id = p_id for update;
  if not found then
    return jsonb_build_object('outcome', 'not_found', 'machine', null);
  end if;
  if v_before.status not in ('running', 'stopped') or v_before.destroy_requested_at is not null
    or v_before.updated_at > now() - make_interval(secs => p_unchanged_for_ms / 1000.0) then
    return jsonb_build_object('outcome', 'conflict', 'machine', to_jsonb(v_before));
  end if;
  -- Fly.io does not say who stopped it: what was asked for through us was not idle.
  if p_reason = 'idle' then
    select * into v_intent from public.machine_events
    where cloud_machine_id = p_id and (
      kind in ('running', 'adopted', 'started', 'start_requested', 'stop_requested', 'suspend_requested')
      -- Refused, so that Fly.io does not do it later either.
      or (kind = 'change_failed' and error_code in (
        'machine_state_conflict', 'fly_rejected', 'fly_unauthorized', 'machine_failed'
      ))
    )
    order by id desc limit 1;
    -- Where nothing is known of its outcome, Fly.io may do it a little later, but not hours later. No
    -- request takes longer than 150 seconds.
    select coalesce(min(created_at), v_intent.created_at + interval '150 seconds') into v_over
    from public.machine_events
    where cloud_machine_id = p_id and id > v_intent.id and kind = 'change_failed'
      and request_id = v_intent.request_id;
    if v_intent.kind in ('stop_requested', 'suspend_requested') and
      coalesce((p_detail ->> 'happenedAt')::timestamptz, now()) <= v_over + interval '30 seconds' then
      v_reason := 'requested';
    end if;
  end if;
  if v_before.stop_reason is not distinct from v_reason then
    return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_before));
  end if;

  update public.cloud_machines
  set status = 'stopped', stop_reason = v_reason, missing_since = null
  where id = p_id
  returning * into v_machine;
  v_crashed := v_reason not in ('requested', 'idle', 'suspended');
  insert into public.machine_events (cloud_machine_id, request_id, kind, error_code, duration_ms, detail)
  values (
    p_id, p_request_id,
    case when v_crashed then 'crashed' else 'stopped' end,
    case when v_crashed then 'machine_stopped' end,
    p_duration_ms, p_detail || jsonb_build_object('reason', v_reason)
  );
  return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_machine));
end
$$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261129000710' $$;
