-- The transitions of a machine's row. Each is one statement guarded by the status that it expects,
-- writes its event in the same transaction, and may be repeated after a lost answer: whoever
-- closes a row first wins, and everybody else is handed the row as it is.

create function public.record_fly_machine(
  p_id uuid,
  p_fly_machine_id text,
  p_region text,
  p_request_id text,
  p_duration_ms integer
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_machine public.cloud_machines;
begin
  -- Whatever the status: a Fly machine whose row was closed meanwhile still has to be found.
  update public.cloud_machines
  set fly_machine_id = p_fly_machine_id, region = p_region
  where id = p_id and fly_machine_id is distinct from p_fly_machine_id
  returning * into v_machine;

  if found then
    insert into public.machine_events (cloud_machine_id, request_id, kind, duration_ms, detail)
    values (p_id, p_request_id, 'fly_machine_recorded', p_duration_ms,
      jsonb_build_object('fly_machine_id', p_fly_machine_id, 'region', p_region));
  else
    select * into v_machine from public.cloud_machines where id = p_id;
  end if;

  return jsonb_build_object(
    'outcome', case
      when v_machine.id is null then 'not_found'
      when v_machine.status = 'provisioning' and v_machine.destroy_requested_at is null then 'applied'
      else 'conflict'
    end,
    'machine', to_jsonb(v_machine)
  );
end
$$;

comment on function public.record_fly_machine is
  'Writes Fly.io''s id to the row. outcome: applied; conflict when the row is no longer provisioning or must be destroyed; not_found.';

create function public.mark_machine_running(
  p_id uuid,
  p_fly_machine_id text,
  p_region text,
  p_request_id text,
  p_duration_ms integer,
  p_detail jsonb default '{}',
  p_adopted boolean default false
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_machine public.cloud_machines;
begin
  update public.cloud_machines
  set status = 'running', fly_machine_id = p_fly_machine_id, region = p_region,
    provisioned_at = now(), reconcile_at = null
  where id = p_id and status = 'provisioning' and destroy_requested_at is null
  returning * into v_machine;

  if found then
    insert into public.machine_events (cloud_machine_id, request_id, kind, duration_ms, detail)
    values (p_id, p_request_id, case when p_adopted then 'adopted' else 'running' end, p_duration_ms, p_detail);
    return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_machine));
  end if;

  select * into v_machine from public.cloud_machines where id = p_id;
  return jsonb_build_object(
    'outcome', case
      when v_machine.id is null then 'not_found'
      when v_machine.status = 'running' and v_machine.fly_machine_id = p_fly_machine_id
        and v_machine.destroy_requested_at is null then 'applied'
      else 'conflict'
    end,
    'machine', to_jsonb(v_machine)
  );
end
$$;

comment on function public.mark_machine_running is
  'provisioning -> running. outcome: applied (also when it already was); conflict when the row was closed otherwise or must be destroyed; not_found.';

create function public.mark_machine_error(
  p_id uuid,
  p_expected_status text,
  p_error_code text,
  p_error_message text,
  p_request_id text,
  p_duration_ms integer,
  p_fly_machine_id text default null,
  p_cleanup_in_ms integer default null,
  p_detail jsonb default '{}'
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_machine public.cloud_machines;
begin
  update public.cloud_machines
  set status = 'error', error_code = p_error_code, error_message = left(p_error_message, 2000),
    fly_machine_id = coalesce(p_fly_machine_id, fly_machine_id),
    reconcile_at = now() + make_interval(secs => p_cleanup_in_ms / 1000.0)
  where id = p_id and status = p_expected_status and status in ('provisioning', 'running')
    -- A machine that is gone because somebody destroys it is not lost.
    and (status = 'provisioning' or destroy_requested_at is null)
  returning * into v_machine;

  if found then
    insert into public.machine_events (cloud_machine_id, request_id, kind, error_code, duration_ms, detail)
    values (
      p_id, p_request_id,
      case when p_error_code in ('interrupted', 'machine_lost') then p_error_code else 'failed' end,
      p_error_code, p_duration_ms, p_detail
    );
    return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_machine));
  end if;

  select * into v_machine from public.cloud_machines where id = p_id;
  return jsonb_build_object(
    'outcome', case
      when v_machine.id is null then 'not_found'
      when v_machine.status = 'error' and v_machine.error_code = p_error_code then 'applied'
      else 'conflict'
    end,
    'machine', to_jsonb(v_machine)
  );
end
$$;

comment on function public.mark_machine_error is
  'provisioning or running (p_expected_status) -> error. p_cleanup_in_ms: from then on reconcile makes sure that no Fly machine is left; null when that is already sure. outcome: applied, conflict, not_found.';

create function public.request_machine_destroy(
  p_machine_id text,
  p_request_id text,
  p_lease_ms integer,
  p_user_id uuid default null
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_machine public.cloud_machines;
begin
  select * into v_machine from public.cloud_machines
  where machine_id = p_machine_id and (p_user_id is null or user_id = p_user_id)
  for update;
  if not found then
    return jsonb_build_object('outcome', 'not_found', 'machine', null);
  end if;
  if v_machine.status = 'destroyed' then
    return jsonb_build_object('outcome', 'already_destroyed', 'machine', to_jsonb(v_machine));
  end if;

  if v_machine.destroy_requested_at is null then
    insert into public.machine_events (cloud_machine_id, request_id, kind)
    values (v_machine.id, p_request_id, 'destroy_requested');
  end if;

  update public.cloud_machines
  set destroy_requested_at = coalesce(destroy_requested_at, now()),
    -- The caller destroys it now; reconcile takes over should the caller die.
    reconcile_at = case
      when status = 'provisioning' then reconcile_at
      else now() + make_interval(secs => p_lease_ms / 1000.0)
    end
  where id = v_machine.id
  returning * into v_machine;

  return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_machine));
end
$$;

comment on function public.request_machine_destroy is
  'Writes the intent to destroy before Fly.io is asked. p_user_id null: a service, any owner. outcome: applied, already_destroyed, not_found.';

create function public.mark_machine_destroyed(
  p_id uuid,
  p_look_again boolean,
  p_request_id text,
  p_duration_ms integer,
  p_detail jsonb default '{}'
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_before public.cloud_machines;
  v_machine public.cloud_machines;
begin
  select * into v_before from public.cloud_machines where id = p_id for update;
  if not found then
    return jsonb_build_object('outcome', 'not_found', 'machine', null);
  end if;
  if v_before.status = 'destroyed' then
    return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_before));
  end if;

  update public.cloud_machines
  set status = 'destroyed', error_code = null, error_message = null,
    destroy_requested_at = coalesce(destroy_requested_at, now()),
    -- A create may still be under way whose machine nobody has seen: reconcile looks once more.
    reconcile_at = case
      when p_look_again or v_before.status = 'provisioning'
        then greatest(deadline_at, now() + interval '1 minute')
    end
  where id = p_id
  returning * into v_machine;

  insert into public.machine_events (cloud_machine_id, request_id, kind, duration_ms, detail)
  values (p_id, p_request_id, 'destroyed', p_duration_ms, p_detail);
  return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_machine));
end
$$;

comment on function public.mark_machine_destroyed is
  'any status -> destroyed, once Fly.io has destroyed the machine or knows of none (p_look_again). outcome: applied, not_found.';

create function public.mark_machine_cleaned_up(
  p_id uuid,
  p_request_id text,
  p_duration_ms integer,
  p_detail jsonb default '{}'
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_machine public.cloud_machines;
begin
  update public.cloud_machines
  set reconcile_at = null
  where id = p_id and status in ('error', 'destroyed') and reconcile_at is not null
  returning * into v_machine;

  if found then
    insert into public.machine_events (cloud_machine_id, request_id, kind, duration_ms, detail)
    values (p_id, p_request_id, 'cleaned_up', p_duration_ms, p_detail);
  else
    select * into v_machine from public.cloud_machines where id = p_id;
  end if;
  return jsonb_build_object(
    'outcome', case
      when v_machine.id is null then 'not_found'
      when v_machine.status in ('error', 'destroyed') then 'applied'
      else 'conflict'
    end,
    'machine', to_jsonb(v_machine)
  );
end
$$;

comment on function public.mark_machine_cleaned_up is
  'An error or destroyed row whose Fly machine is confirmed gone needs reconcile no more. outcome: applied, conflict, not_found.';

create function public.hand_over_to_reconcile(
  p_ids uuid[],
  p_reason text,
  p_after_ms integer
) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_count integer;
begin
  with handed_over as (
    update public.cloud_machines
    set reconcile_at = least(reconcile_at, now() + make_interval(secs => p_after_ms / 1000.0))
    where id = any (p_ids) and status = 'provisioning'
    returning id, request_id
  ), events as (
    insert into public.machine_events (cloud_machine_id, request_id, kind, detail)
    select id, request_id, 'handed_over', jsonb_build_object('reason', p_reason) from handed_over
    returning 1
  )
  select count(*) into v_count from events;
  return v_count;
end
$$;

comment on function public.hand_over_to_reconcile is
  'The isolate is being shut down: reconcile need not wait for the deadline of these rows. Returns how many were still provisioning.';

create function public.take_due_machines(p_limit integer, p_lease_ms integer)
returns jsonb
language sql
set search_path = ''
as $$
  with due as (
    select id from public.cloud_machines
    where reconcile_at <= now()
    order by reconcile_at
    limit p_limit
    for update skip locked
  ), taken as (
    -- The lease keeps others away while the taker talks to Fly.io, and gives the row back should it die.
    update public.cloud_machines m
    set reconcile_at = now() + make_interval(secs => p_lease_ms / 1000.0)
    from due
    where m.id = due.id
    returning m.*
  )
  select coalesce(jsonb_agg(to_jsonb(taken) order by taken.created_at), '[]') from taken
$$;

comment on function public.take_due_machines is
  'Hands rows that are due to reconcile, each to one taker at a time, for p_lease_ms.';

revoke execute on function
  public.record_fly_machine, public.mark_machine_running, public.mark_machine_error,
  public.request_machine_destroy, public.mark_machine_destroyed, public.mark_machine_cleaned_up,
  public.hand_over_to_reconcile, public.take_due_machines
from public, anon, authenticated;
grant execute on function
  public.record_fly_machine, public.mark_machine_running, public.mark_machine_error,
  public.request_machine_destroy, public.mark_machine_destroyed, public.mark_machine_cleaned_up,
  public.hand_over_to_reconcile, public.take_due_machines
to service_role;
