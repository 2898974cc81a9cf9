-- A machine that stops is `stopped` in its row, with the reason, and runs again when it is started: by
-- its owner, or by Fly Proxy.

alter table public.cloud_machines add column stop_reason text;
comment on column public.cloud_machines.stop_reason is
  'Why the machine is stopped: requested, idle, suspended, out of memory, exit code N, signal N, or unknown. Set exactly when status is stopped.';
comment on column public.cloud_machines.status is
  'provisioning, running, stopped, error or destroyed.';
comment on column public.cloud_machines.missing_since is
  'When Fly.io first did not know the machine of this live row, or called it failed; null again once it is well.';

alter table public.cloud_machines drop constraint status_is_known;
alter table public.cloud_machines add constraint status_is_known
  check (status in ('provisioning', 'running', 'stopped', 'error', 'destroyed'));
alter table public.cloud_machines drop constraint running_row_has_a_machine;
alter table public.cloud_machines add constraint live_row_has_a_machine check (
  status not in ('running', 'stopped')
  or (fly_machine_id is not null and fly_app_name is not null and websocket_url is not null and provisioned_at is not null)
);
alter table public.cloud_machines drop constraint running_row_is_reconciled_only_to_destroy;
alter table public.cloud_machines add constraint live_row_is_reconciled_only_to_destroy check (
  status not in ('running', 'stopped') or (reconcile_at is null) = (destroy_requested_at is null)
);
alter table public.cloud_machines add constraint stopped_row_says_why
  check ((status = 'stopped') = (stop_reason is not null));
alter table public.cloud_machines add constraint stop_reason_is_known
  check (stop_reason ~ '^(requested|idle|suspended|out of memory|exit code [0-9]+|signal [0-9]+|unknown)$');

-- Each index covers stopped rows too.
drop index public.cloud_machines_live_by_user;
create index cloud_machines_live_by_user on public.cloud_machines (user_id)
  where status in ('provisioning', 'running', 'stopped');
drop index public.cloud_machines_running_by_app;
create index cloud_machines_live_by_app on public.cloud_machines (fly_app_name, id)
  where status in ('running', 'stopped');
drop index public.cloud_machines_running_own_app;
create index cloud_machines_live_own_app on public.cloud_machines (id)
  where status in ('running', 'stopped') and fly_app_name = machine_id;

alter table public.machine_events drop constraint kind_is_known;
alter table public.machine_events add constraint kind_is_known check (kind in (
  'claimed', 'fly_machine_recorded', 'running', 'failed', 'handed_over', 'destroy_requested',
  'destroyed', 'interrupted', 'adopted', 'cleaned_up', 'machine_lost',
  'start_requested', 'stop_requested', 'suspend_requested', 'change_failed',
  'started', 'stopped', 'crashed'
));
comment on column public.machine_events.error_code is
  'For failures: the code of the row or the answer; machine_stopped for a machine that stopped although nobody asked.';
drop index public.machine_events_failures;
create index machine_events_failures on public.machine_events (created_at desc)
  where kind in ('failed', 'interrupted', 'machine_lost', 'crashed');

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

create or replace function public.installation_copied() returns text
language plpgsql
set search_path = ''
as $$
declare
  v_closed integer;
begin
  update public.installation
  set id = gen_random_uuid(), tag = left(gen_random_uuid()::text, 6), project_host = null
  where only_row;

  -- Their machines belong to the project that was copied from, so Fly.io is not called for any.
  with closed as (
    update public.cloud_machines
    set status = 'destroyed', error_code = null, error_message = null, reconcile_at = null,
      destroy_requested_at = coalesce(destroy_requested_at, now())
    where status in ('provisioning', 'running', 'stopped')
    returning id
  )
  insert into public.machine_events (cloud_machine_id, request_id, kind, detail)
  select id, 'installation_copied', 'destroyed', '{"reason": "the database was copied"}' from closed;
  get diagnostics v_closed = row_count;
  update public.cloud_machines set reconcile_at = null
  where status in ('error', 'destroyed') and reconcile_at is not null;
  return v_closed || ' rows closed; their machines stay with the project that was copied from.';
end
$$;

create or replace function public.mark_machine_error(
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
  where id = p_id and status = p_expected_status and status in ('provisioning', 'running', 'stopped')
    -- A machine that is gone because somebody destroys it is not lost.
    and (status = 'provisioning' or destroy_requested_at is null)
  returning * into v_machine;

  if found then
    insert into public.machine_events (cloud_machine_id, request_id, kind, error_code, duration_ms, detail)
    values (
      p_id, p_request_id,
      case
        when p_error_code in ('interrupted', 'machine_lost') then p_error_code
        when p_expected_status = 'provisioning' then 'failed'
        else 'crashed'
      end,
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
  'provisioning, running or stopped (p_expected_status) -> error. p_cleanup_in_ms: from then on reconcile makes sure that no Fly machine is left; null when that is already sure. outcome: applied, conflict, not_found.';

create or replace function public.note_missing_machine(p_id uuid) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_since timestamptz;
begin
  update public.cloud_machines set missing_since = coalesce(missing_since, now())
  where id = p_id and status in ('running', 'stopped') and destroy_requested_at is null
  returning missing_since into v_since;
  return jsonb_build_object(
    'confirmed', coalesce(v_since <= now() - interval '1 minute', false)
  );
end
$$;

comment on function public.note_missing_machine is
  'Fly.io does not know the machine of this live row, or calls it failed. confirmed: a first sighting was at least a minute ago.';

-- One function for both kinds of hosting.
drop function public.list_running_machines(text, integer, uuid);
drop function public.list_running_own_apps(integer, uuid);
create function public.list_live_machines(
  p_limit integer,
  p_fly_app_name text default null,
  p_after uuid default '00000000-0000-0000-0000-000000000000'
) returns jsonb
language plpgsql stable
set search_path = ''
as $$
begin
  -- Two queries, so that each is planned for its own index.
  if p_fly_app_name is null then
    return (
      select coalesce(jsonb_agg(to_jsonb(m) order by m.id), '[]')
      from (
        select * from public.cloud_machines
        where fly_app_name = machine_id and status in ('running', 'stopped') and id > p_after
        order by id
        limit p_limit
      ) m
    );
  end if;
  return (
    select coalesce(jsonb_agg(to_jsonb(m) order by m.id), '[]')
    from (
      select * from public.cloud_machines
      where fly_app_name = p_fly_app_name and status in ('running', 'stopped') and id > p_after
      order by id
      limit p_limit
    ) m
  );
end
$$;
revoke all on function public.list_live_machines from public, anon, authenticated;
grant execute on function public.list_live_machines to service_role;
comment on function public.list_live_machines is
  'A page of the running and stopped rows of an app, or of those whose machines have apps of their own (null), in the order of their id, after p_after.';

create function public.request_machine_change(
  p_machine_id text,
  p_change text,
  p_request_id text,
  p_user_id uuid default null,
  p_project_host text default null
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_machine public.cloud_machines;
  v_kind constant text := p_change || '_requested';
begin
  select * into v_machine from public.cloud_machines
  where machine_id = p_machine_id and (p_user_id is null or user_id = p_user_id)
  for update;
  if not found then
    return jsonb_build_object('outcome', 'not_found', 'machine', null);
  end if;
  if public.is_fenced(p_project_host) then
    return jsonb_build_object('outcome', 'fenced', 'machine', to_jsonb(v_machine));
  end if;
  if v_machine.status not in ('running', 'stopped') or v_machine.destroy_requested_at is not null then
    return jsonb_build_object('outcome', 'conflict', 'machine', to_jsonb(v_machine));
  end if;
  -- The intent: what Fly.io then does was asked for. Asked again, it says nothing new.
  insert into public.machine_events (cloud_machine_id, request_id, kind)
  select v_machine.id, p_request_id, v_kind
  where v_kind is distinct from (
    select kind from public.machine_events where cloud_machine_id = v_machine.id order by id desc limit 1
  );
  return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_machine));
end
$$;
revoke all on function public.request_machine_change from public, anon, authenticated;
grant execute on function public.request_machine_change to service_role;
comment on function public.request_machine_change is
  'Writes the intent to start, stop or suspend (p_change) a live machine. p_user_id null: a service, any owner. outcome: applied, conflict, fenced, not_found.';

create function public.mark_machine_stopped(
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
  if p_reason = 'idle' and (
    select kind from public.machine_events
    where cloud_machine_id = p_id and (
      kind in ('running', 'adopted', 'started', 'start_requested', 'stop_requested', 'suspend_requested')
      -- Refused, so that Fly.io does not do it later either.
      or (kind = 'change_failed' and error_code in (
        'machine_state_conflict', 'fly_rejected', 'fly_unauthorized', 'machine_failed'
      ))
    )
    order by id desc limit 1
  ) in ('stop_requested', 'suspend_requested') then
    v_reason := 'requested';
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
revoke all on function public.mark_machine_stopped from public, anon, authenticated;
grant execute on function public.mark_machine_stopped to service_role;
comment on function public.mark_machine_stopped is
  'running -> stopped, or another reason for a stopped row. p_reason idle becomes requested where a stop was asked for. p_unchanged_for_ms: leave a row alone that has changed since. outcome: applied, conflict, not_found.';

create function public.mark_machine_started(
  p_id uuid,
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
begin
  select * into v_before from public.cloud_machines where id = p_id for update;
  if not found then
    return jsonb_build_object('outcome', 'not_found', 'machine', null);
  end if;
  if v_before.status not in ('running', 'stopped') or v_before.destroy_requested_at is not null
    or v_before.updated_at > now() - make_interval(secs => p_unchanged_for_ms / 1000.0) then
    return jsonb_build_object('outcome', 'conflict', 'machine', to_jsonb(v_before));
  end if;
  if v_before.status = 'running' then
    return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_before));
  end if;
  update public.cloud_machines set status = 'running', missing_since = null
  where id = p_id
  returning * into v_machine;
  insert into public.machine_events (cloud_machine_id, request_id, kind, duration_ms, detail)
  values (p_id, p_request_id, 'started', p_duration_ms, p_detail);
  return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_machine));
end
$$;
revoke all on function public.mark_machine_started from public, anon, authenticated;
grant execute on function public.mark_machine_started to service_role;
comment on function public.mark_machine_started is
  'stopped -> running. p_unchanged_for_ms: leave a row alone that has changed since. outcome: applied (also when it already runs), conflict, not_found.';

create function public.record_failed_change(
  p_id uuid,
  p_change text,
  p_error_code text,
  p_request_id text,
  p_duration_ms integer
) returns void
language sql
set search_path = ''
as $$
  insert into public.machine_events (cloud_machine_id, request_id, kind, error_code, duration_ms, detail)
  values (p_id, p_request_id, 'change_failed', p_error_code, p_duration_ms, jsonb_build_object('change', p_change))
$$;
revoke all on function public.record_failed_change from public, anon, authenticated;
grant execute on function public.record_failed_change to service_role;
comment on function public.record_failed_change is
  'Notes that a start, stop or suspend (p_change) failed; the row stays as it is.';

create or replace function public.evaluate_alerts(
  p_threshold integer,
  p_window_ms integer,
  p_cooldown_ms integer,
  p_lease_ms integer
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_state public.alert_states;
  v_now timestamptz;
  v_window_start timestamptz;
  v_cooled_down boolean;
  v_threshold integer;
  v_failures jsonb;
  v_count bigint;
  v_event text;
  v_alert public.alerts;
  v_new jsonb := '[]';
begin
  -- The lock is what makes one message of many failures.
  for v_state in select * from public.alert_states order by kind for update loop
    -- Read after the lock was had, and once: an index cannot be searched for a moving clock.
    v_now := clock_timestamp();
    -- What only an operator can settle fails every request: the first one is enough.
    v_threshold := case v_state.kind when 'configuration' then 1 else p_threshold end;
    v_window_start := v_now - make_interval(secs => p_window_ms / 1000.0);
    v_cooled_down := coalesce(
      v_state.last_alert_at <= v_now - make_interval(secs => p_cooldown_ms / 1000.0), true
    );

    select jsonb_build_object(
      'count', coalesce(sum(n), 0),
      'byCode', coalesce(jsonb_object_agg(error_code, n), '{}'),
      'newestRequestId', (array_agg(newest_request_id order by newest_at desc))[1],
      'windowMinutes', round(p_window_ms / 60000.0, 2)
    ) into v_failures
    from (
      select e.error_code, count(*) as n, max(e.created_at) as newest_at,
        (array_agg(e.request_id order by e.created_at desc, e.id desc))[1] as newest_request_id
      from public.machine_events e
      where e.kind in ('failed', 'interrupted', 'machine_lost', 'crashed') and e.created_at > v_window_start
        and (e.error_code in ('configuration_error', 'fly_account_limit')) = (v_state.kind = 'configuration')
      group by e.error_code
    ) codes;

    v_event := null;
    v_count := (v_failures ->> 'count')::bigint;
    if v_count >= v_threshold then
      if v_cooled_down then
        v_event := 'firing';
      elsif not v_state.firing then
        -- Told recovered and failing again: not now, but not never either.
        update public.alert_states set held_back = v_failures where kind = v_state.kind;
      end if;
    elsif v_state.held_back is not null and v_cooled_down then
      v_event := 'firing';
      v_failures := v_state.held_back;
    elsif v_state.firing and v_count = 0 then
      v_event := 'recovered';
    end if;
    continue when v_event is null;

    update public.alert_states
    set firing = (v_event = 'firing'),
      last_alert_at = case when v_event = 'firing' then v_now else last_alert_at end,
      held_back = null
    where kind = v_state.kind;
    -- What could not be sent before comes first: both are left to take_due_alerts then.
    update public.alerts set next_attempt_at = least(next_attempt_at, v_now)
    where kind = v_state.kind and next_attempt_at is not null and attempts > 0;
    insert into public.alerts (kind, event, content, next_attempt_at)
    values (
      v_state.kind, v_event, v_failures,
      case when found then v_now else v_now + make_interval(secs => p_lease_ms / 1000.0) end
    )
    returning * into v_alert;
    if v_alert.next_attempt_at > v_now then
      v_new := v_new || jsonb_build_array(to_jsonb(v_alert));
    end if;
  end loop;
  return v_new;
end
$$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261129000200' $$;
