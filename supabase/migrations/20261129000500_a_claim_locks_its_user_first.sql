-- A claim locks its user first. Its row's foreign key did that last, under the lock of the queue that all
-- users share: while a transaction that deletes one user was open, nobody could provision.

create function public.lock_user(p_user_id uuid) returns boolean
language plpgsql
-- The service's role may not read auth.users.
security definer
set search_path = ''
as $$
begin
  perform 1 from auth.users where id = p_user_id for key share;
  return found;
end
$$;
revoke all on function public.lock_user from public, anon, authenticated;
grant execute on function public.lock_user to service_role;
comment on function public.lock_user is
  'Keeps the user from being deleted until the transaction ends. Returns whether there is one.';

create or replace function public.claim_machine(
  p_user_id uuid,
  p_machine_id text,
  p_region text,
  p_cpu_priority text,
  p_request_id text,
  p_request_hash text,
  p_machine_limit integer,
  p_timeout_ms integer,
  p_rate_per_second numeric,
  p_burst integer,
  p_wait_at_most_ms integer,
  p_fly_app_names text[] default null,
  p_websocket_url_template text default null,
  p_idempotency_key text default null,
  p_error_code text default null,
  p_error_message text default null,
  p_name_prefix text default null,
  p_project_host text default null,
  p_own_app boolean default false
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_machine public.cloud_machines;
  v_slot_at timestamptz;
  v_wait_ms integer := 0;
  v_granted boolean;
  -- What is paced: the app that machines share, or the organisation in which each gets its own.
  v_bucket text := p_fly_app_names[1];
  v_app_name text;
  v_error_code text := p_error_code;
  v_error_message text := p_error_message;
  v_machine_id text := p_machine_id;
  v_fenced boolean;
  v_user_exists boolean;
begin
  v_fenced := public.is_fenced(p_project_host);
  if p_name_prefix is not null then
    v_machine_id := p_name_prefix || '-' || (select tag from public.installation) || '-' || p_machine_id;
  end if;

  -- Calls of one user queue here, so that neither the key nor the limit can be raced.
  perform pg_advisory_xact_lock(hashtextextended('provision-machine:' || p_user_id::text, 0));
  -- Before any lock that others share: while this user is being deleted, only their own claims wait.
  v_user_exists := public.lock_user(p_user_id);

  -- machine_id is random and new for each request, so finding it means that this very call was
  -- made before and its answer was lost. The owner may have been deleted since.
  select * into v_machine from public.cloud_machines
  where machine_id = v_machine_id and request_id = p_request_id
    and (user_id = p_user_id or user_id is null);
  if found then
    select greatest(ceil(extract(epoch from slot_at - clock_timestamp()) * 1000), 0) into v_wait_ms
    from public.fly_create_slots where cloud_machine_id = v_machine.id;
    return jsonb_build_object(
      'outcome', case
        when v_fenced then 'fenced'
        when v_machine.error_code is not distinct from p_error_code then 'claimed'
        else 'no_slot'
      end,
      'machine', to_jsonb(v_machine),
      'wait_ms', coalesce(v_wait_ms, 0)
    );
  end if;

  if p_idempotency_key is not null then
    select * into v_machine from public.cloud_machines
    where user_id = p_user_id and idempotency_key = p_idempotency_key;
    if found then
      return jsonb_build_object(
        'outcome', case when v_machine.request_hash = p_request_hash then 'replayed' else 'key_reused' end,
        'machine', to_jsonb(v_machine)
      );
    end if;
  end if;

  if v_fenced then
    v_error_code := 'configuration_error';
    v_error_message := 'This database belongs to another project';
  end if;

  -- A call that is already known to fail creates nothing at Fly.io, so no limit applies to it.
  if v_error_code is null then
    select * into v_machine from public.cloud_machines
    where user_id = p_user_id and status in ('provisioning', 'running', 'stopped')
    order by created_at desc
    limit 1
    offset greatest(p_machine_limit, 1) - 1;
    if found then
      select * into v_machine from public.cloud_machines
      where user_id = p_user_id and status in ('provisioning', 'running', 'stopped')
      order by created_at desc
      limit 1;
      return jsonb_build_object('outcome', 'limit_reached', 'machine', to_jsonb(v_machine));
    end if;
  end if;

  if not v_user_exists then
    return jsonb_build_object('outcome', 'unknown_user', 'machine', null);
  end if;

  if v_error_code is null then
    select slot.app_name, slot.slot_at, slot.wait_ms, slot.granted
    into v_bucket, v_slot_at, v_wait_ms, v_granted
    from public.reserve_create_slot(
      p_fly_app_names, p_user_id, p_rate_per_second, p_burst, p_wait_at_most_ms
    ) slot;
    if not v_granted then
      v_error_code := 'fly_rate_limited';
      v_error_message := 'Too many machines are waiting to be created at Fly.io';
    end if;
  end if;

  v_app_name := case when p_own_app and v_bucket is not null then v_machine_id else v_bucket end;
  insert into public.cloud_machines (
    user_id, machine_id, fly_app_name, create_bucket, region, cpu_priority,
    status, error_code, error_message,
    websocket_url, idempotency_key, request_hash, request_id,
    deadline_at, reconcile_at
  ) values (
    p_user_id, v_machine_id, v_app_name, v_bucket, p_region, p_cpu_priority,
    case when v_error_code is null then 'provisioning' else 'error' end,
    v_error_code, left(v_error_message, 2000),
    replace(replace(p_websocket_url_template, '{app}', v_app_name), '{machineId}', v_machine_id),
    p_idempotency_key, p_request_hash, p_request_id,
    now() + make_interval(secs => p_timeout_ms / 1000.0),
    case when v_error_code is null then now() + make_interval(secs => p_timeout_ms / 1000.0) end
  ) returning * into v_machine;

  if v_error_code is null and v_wait_ms > 0 then
    insert into public.fly_create_slots (app_name, slot_at, cloud_machine_id, user_id)
    values (v_bucket, v_slot_at, v_machine.id, p_user_id);
  end if;

  insert into public.machine_events (cloud_machine_id, request_id, kind, error_code, duration_ms)
  values (
    v_machine.id, p_request_id,
    case when v_error_code is null then 'claimed' else 'failed' end, v_error_code, 0
  );

  return jsonb_build_object(
    'outcome', case
      when v_fenced then 'fenced'
      when v_error_code is not distinct from p_error_code then 'claimed'
      else 'no_slot'
    end,
    'machine', to_jsonb(v_machine),
    'wait_ms', v_wait_ms,
    'reconcile_problem', public.reconcile_problem()
  );
end
$$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261129000500' $$;
