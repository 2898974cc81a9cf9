-- A claim takes a machine of the pool where one fits, and learns which regions are full, in the same call.

drop function public.claim_machine(
  uuid, text, text, text, text, text, integer, integer, numeric, integer, integer, text[], text, text, text, text, text, text, boolean, integer, integer, boolean
);

create function public.claim_machine(
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
  p_own_app boolean default false,
  p_max_machines integer default null,
  p_provisions_per_hour integer default null,
  p_paused boolean default false,
  p_config_hash text default null,
  p_pooled_for_ms integer default 180000
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_machine public.cloud_machines;
  v_pooled public.pooled_machines;
  v_status text;
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
  v_user_state text;
  v_limit constant integer := coalesce(public.machine_limit(p_user_id), p_machine_limit);
  v_first_at timestamptz;
  v_live integer := 0;
begin
  v_fenced := public.is_fenced(p_project_host);
  if p_name_prefix is not null then
    v_machine_id := p_name_prefix || '-' || (select tag from public.installation) || '-' || p_machine_id;
  end if;

  -- Calls of one user queue here, so that neither the key nor the limit can be raced.
  perform pg_advisory_xact_lock(hashtextextended('provision-machine:' || p_user_id::text, 0));
  -- Before any lock that others share: while this user is being deleted, only their own claims wait.
  v_user_state := public.lock_user(p_user_id);

  -- machine_id is random and new for each request, so finding it means that this very call was
  -- made before and its answer was lost. The owner may have been deleted since.
  select * into v_machine from public.cloud_machines
  where request_id = p_request_id
    and (
      machine_id = v_machine_id
      -- It has had another name since, such as that of a machine of the pool, and remembers
      -- the name that it was claimed under.
      or (former_machine_ids <> '{}' and former_machine_ids @> array[v_machine_id])
    )
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
      'wait_ms', coalesce(v_wait_ms, 0),
      'pooled', exists (
        select 1 from public.machine_events
        where cloud_machine_id = v_machine.id and kind = 'claimed' and detail ? 'pooled'
      )
    );
  end if;

  -- Also before a replay: a token of theirs is accepted until it expires.
  if v_user_state is distinct from 'active' then
    return jsonb_build_object(
      'outcome', 'unknown_user', 'machine', null, 'banned', coalesce(v_user_state = 'banned', false)
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

  if p_paused then
    return jsonb_build_object('outcome', 'paused');
  end if;
  -- The oldest of the rows that fill the user's hour.
  select created_at into v_first_at from public.cloud_machines
  where user_id = p_user_id and created_at > now() - interval '1 hour'
  order by created_at desc limit 1 offset p_provisions_per_hour - 1;
  if p_provisions_per_hour is not null and found then
    return jsonb_build_object(
      'outcome', 'too_many_requests',
      'wait_ms', ceil(extract(epoch from v_first_at + interval '1 hour' - now()) * 1000)
    );
  end if;

  -- A call that is already known to fail creates nothing at Fly.io, so no limit applies to it.
  if v_error_code is null then
    select * into v_machine from public.cloud_machines
    where user_id = p_user_id and status in ('provisioning', 'running', 'stopped')
    order by created_at desc
    limit 1
    offset greatest(v_limit, 1) - 1;
    if found or v_limit < 1 then
      select * into v_machine from public.cloud_machines
      where user_id = p_user_id and status in ('provisioning', 'running', 'stopped')
      order by created_at desc
      limit 1;
      return jsonb_build_object(
        'outcome', 'limit_reached',
        'machine', case when v_machine.id is not null then to_jsonb(v_machine) end
      );
    end if;

    if p_config_hash is not null then
      select * into v_pooled from public.take_pooled_machine(p_config_hash);
      perform public.add_to_metric('pool_claims', jsonb_build_object(
        'outcome', case when v_pooled.id is null then 'miss' else 'hit' end
      ));
    end if;

    -- A machine of the pool is counted already.
    if p_max_machines is not null and v_pooled.id is null then
      -- One claim at a time counts, so that two never take the last place.
      perform pg_advisory_xact_lock(hashtextextended('provision-machine: all machines', 0));
      v_live := public.count_machines(p_max_machines);
      if v_live >= p_max_machines then
        return jsonb_build_object('outcome', 'fleet_full');
      end if;
    end if;
  end if;

  if v_error_code is null and v_pooled.id is null then
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
  v_status := case
    when v_error_code is not null then 'error'
    -- Seen started so lately that nobody need ask again.
    when v_pooled.standby = 'started'
      and v_pooled.checked_at > now() - make_interval(secs => p_pooled_for_ms / 1000.0) then 'running'
    else 'provisioning'
  end;
  insert into public.cloud_machines (
    user_id, machine_id, fly_app_name, create_bucket, region, cpu_priority,
    status, error_code, error_message,
    websocket_url, idempotency_key, request_hash, request_id,
    deadline_at, reconcile_at,
    fly_machine_id, former_machine_ids, provisioned_at
  ) values (
    p_user_id, coalesce(v_pooled.machine_id, v_machine_id), coalesce(v_pooled.fly_app_name, v_app_name),
    coalesce(v_pooled.create_bucket, v_bucket), coalesce(v_pooled.region, p_region), p_cpu_priority,
    v_status, v_error_code, left(v_error_message, 2000),
    coalesce(
      v_pooled.websocket_url,
      replace(replace(p_websocket_url_template, '{app}', v_app_name), '{machineId}', v_machine_id)
    ),
    p_idempotency_key, p_request_hash, p_request_id,
    now() + make_interval(secs => p_timeout_ms / 1000.0),
    case when v_status = 'provisioning' then now() + make_interval(secs => p_timeout_ms / 1000.0) end,
    v_pooled.fly_machine_id,
    case when v_pooled.id is null then '{}' else array[v_machine_id] end,
    case when v_status = 'running' then now() end
  ) returning * into v_machine;

  if v_error_code is null and v_wait_ms > 0 then
    insert into public.fly_create_slots (app_name, slot_at, cloud_machine_id, user_id)
    values (v_bucket, v_slot_at, v_machine.id, p_user_id);
  end if;

  insert into public.machine_events (cloud_machine_id, request_id, kind, error_code, duration_ms, detail)
  values (
    v_machine.id, p_request_id,
    case when v_error_code is null then 'claimed' else 'failed' end, v_error_code, 0,
    case when v_pooled.id is null then '{}' else '{"pooled": true}' end::jsonb
  );
  if v_status = 'running' then
    insert into public.machine_events (cloud_machine_id, request_id, kind, duration_ms, detail)
    values (v_machine.id, p_request_id, 'running', 0, '{"pooled": true}');
  end if;

  return jsonb_build_object(
    'outcome', case
      when v_fenced then 'fenced'
      when v_error_code is not distinct from p_error_code then 'claimed'
      else 'no_slot'
    end,
    'machine', to_jsonb(v_machine),
    'wait_ms', v_wait_ms,
    'pooled', v_pooled.id is not null,
    'full_regions', public.read_full_regions(),
    'needs_attention', public.reconcile_problem() is not null
      or coalesce(v_live + 1 >= 0.8 * p_max_machines, false)
  );
end
$$;
revoke all on function public.claim_machine from public, anon, authenticated;
grant execute on function public.claim_machine to service_role;
comment on function public.claim_machine is
  'Writes a machine''s row, or says why not. With p_name_prefix its name is prefix-tag-p_machine_id. p_own_app: its app has that name too, and p_fly_app_names name what is paced. outcome: claimed (the create may be sent in wait_ms), replayed, key_reused, limit_reached, no_slot (the row was written as error; the next slot is wait_ms away), fenced (the row was written as error), and without a row: unknown_user (deleted or banned), paused, too_many_requests (the user may have another in wait_ms), fleet_full. With p_error_code the row is written as error at once. needs_attention: an alert may be due. p_config_hash: a machine of the pool with this configuration is taken where there is one (pooled); its row is running where it was seen started within p_pooled_for_ms. full_regions: those that take no machine at the moment.';
