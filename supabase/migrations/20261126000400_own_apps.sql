-- An app for each machine: the row's app then has the machine's name, and creates are paced per
-- organisation instead of per app. A row keeps the mode that it was made in.

alter table public.cloud_machines add column create_bucket text;
comment on column public.cloud_machines.create_bucket is
  'What the row''s create is paced with: the app that machines share, or the organisation.';
update public.cloud_machines set create_bucket = fly_app_name where status = 'provisioning';

drop function public.claim_machine;
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
begin
  v_fenced := public.is_fenced(p_project_host);
  if p_name_prefix is not null then
    v_machine_id := p_name_prefix || '-' || (select tag from public.installation) || '-' || p_machine_id;
  end if;

  -- Calls of one user queue here, so that neither the key nor the limit can be raced.
  perform pg_advisory_xact_lock(hashtextextended('provision-machine:' || p_user_id::text, 0));

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
    where user_id = p_user_id and status in ('provisioning', 'running')
    order by created_at desc
    limit 1
    offset greatest(p_machine_limit, 1) - 1;
    if found then
      select * into v_machine from public.cloud_machines
      where user_id = p_user_id and status in ('provisioning', 'running')
      order by created_at desc
      limit 1;
      return jsonb_build_object('outcome', 'limit_reached', 'machine', to_jsonb(v_machine));
    end if;
  end if;

  begin
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
  exception when foreign_key_violation then
    return jsonb_build_object('outcome', 'unknown_user', 'machine', null);
  end;

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
    'wait_ms', v_wait_ms
  );
end
$$;

comment on function public.claim_machine is
  'Writes a machine''s row, or says why not. With p_name_prefix its name is prefix-tag-p_machine_id. p_own_app: its app has that name too, and p_fly_app_names name what is paced. outcome: claimed (the create may be sent in wait_ms), replayed, key_reused, limit_reached, no_slot (the row was written as error; the next slot is wait_ms away), fenced (the row was written as error), unknown_user. With p_error_code the row is written as error at once.';

revoke execute on function public.claim_machine from public, anon, authenticated;
grant execute on function public.claim_machine to service_role;

create or replace function public.delay_creates(
  p_id uuid,
  p_retry_after_ms integer,
  p_rate_per_second numeric,
  p_burst integer
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_interval constant interval := make_interval(secs => (1 / p_rate_per_second)::double precision);
  v_app_name text;
  v_user_id uuid;
  v_resume_at timestamptz;
  v_first_at timestamptz;
  v_delay interval;
begin
  -- The new slot's foreign key locks the row. Locked only then, after the slots, it would be locked in
  -- the opposite order to whoever closes the row meanwhile and gives back its slot: a deadlock.
  select coalesce(create_bucket, fly_app_name), user_id into v_app_name, v_user_id from public.cloud_machines
  where id = p_id for key share;
  perform 1 from public.fly_create_buckets b where b.app_name = v_app_name for update;
  if not found then
    return jsonb_build_object('outcome', 'wait', 'wait_ms', p_retry_after_ms);
  end if;

  v_resume_at := clock_timestamp() + greatest(make_interval(secs => p_retry_after_ms / 1000.0), v_interval);
  select min(slot_at) into v_first_at from public.fly_create_slots
  where app_name = v_app_name and slot_at > clock_timestamp();
  -- Whoever was refused goes first; everybody else moves back to make room.
  v_delay := greatest(v_resume_at + v_interval - v_first_at, interval '0');
  update public.fly_create_slots set slot_at = slot_at + v_delay
  where app_name = v_app_name and slot_at > clock_timestamp() and v_delay > interval '0';
  update public.fly_create_buckets
  set full_at = greatest(full_at + coalesce(v_delay, interval '0'), v_resume_at + p_burst * v_interval)
  where app_name = v_app_name;
  insert into public.fly_create_slots (app_name, slot_at, cloud_machine_id, user_id)
  values (v_app_name, v_resume_at, p_id, v_user_id)
  on conflict (cloud_machine_id) do update set slot_at = excluded.slot_at;
  return jsonb_build_object(
    'outcome', 'wait',
    'wait_ms', ceil(extract(epoch from v_resume_at - clock_timestamp()) * 1000)
  );
end
$$;

create function public.list_running_own_apps(
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
    where fly_app_name = machine_id and status = 'running' and id > p_after
    order by id
    limit p_limit
  ) m
$$;

comment on function public.list_running_own_apps is
  'A page of the running rows whose machines have apps of their own, in the order of their id, after p_after.';

create index cloud_machines_running_own_app
  on public.cloud_machines (id) where status = 'running' and fly_app_name = machine_id;

revoke execute on function public.list_running_own_apps from public, anon, authenticated;
grant execute on function public.list_running_own_apps to service_role;

notify pgrst, 'reload schema';

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261126000400' $$;
