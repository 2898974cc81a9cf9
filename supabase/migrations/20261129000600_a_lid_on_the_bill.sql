-- A lid on the bill: a ceiling for all machines, a limit and a rate for each user, a pause, a lifetime, and
-- a ledger of what ran when.

create function public.machine_limit(p_user_id uuid) returns integer
language sql stable
set search_path = ''
as $$ select null::integer $$;
revoke all on function public.machine_limit from public, anon, authenticated;
grant execute on function public.machine_limit to service_role;
comment on function public.machine_limit is
  'How many live machines a user may have; null: MAX_MACHINES_PER_USER. Replace it to sell plans.';

-- The oldest live machines, for their lifetime.
create index cloud_machines_live_created_at on public.cloud_machines (created_at)
  where status in ('provisioning', 'running', 'stopped');

drop function public.claim_machine(
  uuid, text, text, text, text, text, integer, integer, numeric, integer, integer, text[], text, text, text, text, text, text, boolean
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
  p_paused boolean default false
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

  if not v_user_exists then
    return jsonb_build_object('outcome', 'unknown_user', 'machine', null);
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

    if p_max_machines is not null then
      -- One claim at a time counts, so that two never take the last place.
      perform pg_advisory_xact_lock(hashtextextended('provision-machine: all machines', 0));
      select count(*) into v_live from (
        select 1 from public.cloud_machines
        where status in ('provisioning', 'running', 'stopped') limit p_max_machines
      ) live;
      if v_live >= p_max_machines then
        return jsonb_build_object('outcome', 'fleet_full');
      end if;
    end if;
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
    'needs_attention', public.reconcile_problem() is not null
      or coalesce(v_live + 1 >= 0.8 * p_max_machines, false)
  );
end
$$;

revoke all on function public.claim_machine from public, anon, authenticated;
grant execute on function public.claim_machine to service_role;
comment on function public.claim_machine is
  'Writes a machine''s row, or says why not. With p_name_prefix its name is prefix-tag-p_machine_id. p_own_app: its app has that name too, and p_fly_app_names name what is paced. outcome: claimed (the create may be sent in wait_ms), replayed, key_reused, limit_reached, no_slot (the row was written as error; the next slot is wait_ms away), fenced (the row was written as error), unknown_user, and without a row: paused, too_many_requests (the user may have another in wait_ms), fleet_full. With p_error_code the row is written as error at once. needs_attention: an alert may be due.';

alter table public.alert_states drop constraint kind_is_known;
alter table public.alert_states add constraint kind_is_known
  check (kind in ('failures', 'configuration', 'reconcile', 'fleet_filling', 'fleet_full'));
insert into public.alert_states (kind) values ('fleet_filling'), ('fleet_full');
drop function public.evaluate_alerts(integer, integer, integer, integer, boolean);

create function public.evaluate_alerts(
  p_threshold integer,
  p_window_ms integer,
  p_cooldown_ms integer,
  p_lease_ms integer,
  p_by_reconcile boolean default false,
  p_max_machines integer default null
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
  v_problem text;
  v_live bigint;
  v_needed numeric;
  v_alert public.alerts;
  v_new jsonb := '[]';
begin
  -- The lock is what makes one message of many failures.
  for v_state in select * from public.alert_states order by kind for update loop
    -- Read after the lock was had, and once: an index cannot be searched for a moving clock.
    v_now := clock_timestamp();
    -- What only an operator can settle fails every request: the first one is enough.
    v_threshold := case v_state.kind when 'failures' then p_threshold else 1 end;
    v_window_start := v_now - make_interval(secs => p_window_ms / 1000.0);
    v_cooled_down := coalesce(
      v_state.last_alert_at <= v_now - make_interval(secs => p_cooldown_ms / 1000.0), true
    );

    if v_state.kind = 'reconcile' then
      v_problem := public.reconcile_problem();
      -- The run that asks is not recorded yet, and it is not late any more.
      if p_by_reconcile and v_problem in ('never', 'late') then
        v_problem := null;
      end if;
      v_failures := jsonb_build_object(
        'count', case when v_problem is null then 0 else 1 end,
        'byCode', case when v_problem is null then '{}' else jsonb_build_object('reconcile_' || v_problem, 1) end,
        'newestRequestId', null,
        'windowMinutes', 10
      );
    elsif v_state.kind in ('fleet_filling', 'fleet_full') then
      select count(*) into v_live from (
        select 1 from public.cloud_machines
        where status in ('provisioning', 'running', 'stopped') limit coalesce(p_max_machines, 0)
      ) live;
      v_needed := p_max_machines * case v_state.kind when 'fleet_full' then 1 else 0.8 end;
      if v_live < v_needed then
        v_live := 0;
      end if;
      v_failures := jsonb_build_object(
        'count', case when p_max_machines is null then 0 else v_live end, 'byCode', '{}'::jsonb,
        'newestRequestId', null, 'windowMinutes', 10, 'limit', p_max_machines
      );
    else
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
    end if;

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

revoke all on function public.evaluate_alerts from public, anon, authenticated;
grant execute on function public.evaluate_alerts to service_role;
comment on function public.evaluate_alerts is
  'Decides which messages have to be sent now and writes them down, each leased to the caller for p_lease_ms. p_by_reconcile: the caller is a run of reconcile.';

alter table public.machine_events drop constraint kind_is_known;
alter table public.machine_events add constraint kind_is_known check (kind in (
  'claimed', 'renamed', 'fly_machine_recorded', 'running', 'failed', 'handed_over', 'destroy_requested',
  'destroyed', 'interrupted', 'adopted', 'cleaned_up', 'machine_lost',
  'start_requested', 'stop_requested', 'suspend_requested', 'change_failed',
  'started', 'stopped', 'crashed', 'expired'
));

create function public.expire_machines(p_lifetime_ms bigint, p_limit integer, p_request_id text)
returns jsonb
language sql
set search_path = ''
as $$
  with old as (
    select id from public.cloud_machines
    where status in ('running', 'stopped') and destroy_requested_at is null
      and created_at < now() - make_interval(secs => p_lifetime_ms / 1000.0)
    order by created_at limit p_limit
    for update skip locked
  ), expired as (
    update public.cloud_machines m set destroy_requested_at = now(), reconcile_at = now()
    from old where m.id = old.id
    returning m.id, m.machine_id, m.fly_machine_id
  ), noted as (
    insert into public.machine_events (cloud_machine_id, request_id, kind)
    select id, p_request_id, 'expired' from expired
  )
  select coalesce(jsonb_agg(jsonb_build_object(
    'machine_id', machine_id, 'fly_machine_id', fly_machine_id
  )), '[]') from expired
$$;
revoke all on function public.expire_machines from public, anon, authenticated;
grant execute on function public.expire_machines to service_role;
comment on function public.expire_machines is
  'Machines older than their lifetime are to be destroyed: reconcile does it next. Returns them.';

create view public.machine_usage with (security_invoker = true) as
select m.user_id, m.machine_id, used.day, used.running_seconds, used.stopped_seconds
from public.cloud_machines m
-- Machine by machine, so that an owner's few are read by their index.
cross join lateral (
  select day::date as day,
    round(sum(seconds) filter (where state = 'running'), 3)::double precision as running_seconds,
    round(sum(seconds) filter (where state = 'stopped'), 3)::double precision as stopped_seconds
  from (
    -- What the machine was after each event that says so.
    select at.since, coalesce(lead(at.since) over (order by e.id), now()) as until,
      case
        when e.kind in ('running', 'adopted', 'started') then 'running'
        when e.kind = 'stopped' or (e.kind = 'crashed' and e.error_code = 'machine_stopped') then 'stopped'
        else 'gone'
      end as state
    from public.machine_events e
    -- What reconcile has found happened earlier: as Fly.io says, where it does.
    cross join lateral (
      select least(e.created_at, coalesce((e.detail ->> 'happenedAt')::timestamptz, e.created_at)) as since
    ) at
    where e.cloud_machine_id = m.id and e.kind in (
      'running', 'adopted', 'started', 'stopped', 'crashed', 'failed', 'interrupted', 'machine_lost',
      'destroyed'
    )
  ) states
  cross join lateral generate_series(date_trunc('day', since), until, interval '1 day') as day
  cross join lateral (
    select greatest(
      extract(epoch from least(until, day + interval '1 day') - greatest(since, day)), 0
    ) as seconds
  ) part
  where state <> 'gone'
  group by day
) used;
revoke all on public.machine_usage from public, anon, authenticated;
grant select on public.machine_usage to authenticated, service_role;
comment on view public.machine_usage is
  'Seconds that each machine ran and was stopped, by day (UTC), from the events alone. Owners see their own.';

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261129000600' $$;
