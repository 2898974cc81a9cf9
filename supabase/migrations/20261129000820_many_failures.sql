-- However many failures there are, deciding on an alert reads as many of them, and each counts: no id
-- that a caller has chosen makes two of them one.

drop index public.machine_events_failures;
create index machine_events_failures on public.machine_events (error_code, created_at desc, id desc)
  include (cloud_machine_id)
  where kind in ('failed', 'interrupted', 'machine_lost', 'crashed');

create or replace function public.evaluate_alerts(
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
  v_threshold integer;
  v_at_once text[] := array['configuration_error', 'fly_account_limit', 'fly_unauthorized'];
  v_failures jsonb;
  v_count bigint;
  v_streak jsonb;
  v_told text[];
  v_fresh jsonb;
  v_fresh_count bigint;
  v_event text;
  v_problem text;
  v_live bigint;
  -- More failures of a code are not told apart.
  v_at_most constant integer := greatest(p_threshold, 1000);
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
    v_streak := null;

    if v_state.kind = 'reconcile' then
      v_problem := public.reconcile_problem();
      -- The run that asks is not recorded yet, and it is not late any more.
      if p_by_reconcile and v_problem in ('never', 'late') then
        v_problem := null;
      end if;
      v_failures := jsonb_build_object(
        'byCode', case when v_problem is null then '{}' else jsonb_build_object('reconcile_' || v_problem, 1) end,
        'newestMachineId', null, 'windowMinutes', 10
      );
    elsif v_state.kind in ('fleet_filling', 'fleet_full') then
      select count(*) into v_live from (
        select 1 from public.cloud_machines
        where status in ('provisioning', 'running', 'stopped') limit coalesce(p_max_machines, 0)
      ) live;
      v_needed := p_max_machines * case v_state.kind when 'fleet_full' then 1 else 0.8 end;
      v_failures := jsonb_build_object(
        'byCode', case when v_live >= v_needed then jsonb_build_object(v_state.kind, v_live) else '{}' end,
        'newestMachineId', null, 'windowMinutes', 10, 'limit', p_max_machines
      );
    else
      -- Only names that we made: a request's id may be a caller's. Code by code, and no further than
      -- matters: however many failures there are, as many are read.
      select jsonb_build_object(
        'byCode', coalesce(jsonb_object_agg(code, n), '{}'),
        'atLeast', coalesce(bool_or(n = v_at_most), false),
        'newestMachineId', (
          select m.machine_id from public.cloud_machines m
          where m.id = (array_agg(newest_row order by newest_at desc) filter (where newest_row is not null))[1]
        ),
        'windowMinutes', round(p_window_ms / 60000.0, 2)
      ) into v_failures
      from (
        with recursive codes (code) as (
          select min(error_code) from public.machine_events
          where kind in ('failed', 'interrupted', 'machine_lost', 'crashed')
          union all
          select (
            select min(error_code) from public.machine_events
            where kind in ('failed', 'interrupted', 'machine_lost', 'crashed') and error_code > codes.code
          ) from codes where codes.code is not null
        )
        select codes.code, counted.n, counted.newest_at, counted.newest_row
        from codes cross join lateral (
          select count(*) as n, max(created_at) as newest_at,
            (array_agg(cloud_machine_id order by created_at desc, id desc))[1] as newest_row
          from (
            select e.id, e.created_at, e.cloud_machine_id from public.machine_events e
            where e.kind in ('failed', 'interrupted', 'machine_lost', 'crashed')
              and e.error_code = codes.code and e.created_at > v_window_start
            order by e.created_at desc, e.id desc limit v_at_most
          ) newest
        ) counted
        where (codes.code = any (v_at_once)) = (v_state.kind = 'configuration') and counted.n > 0
      ) counts;
      -- The newest attempts, if all of them failed: however long that took.
      if v_state.kind = 'failures' then
        select jsonb_object_agg(error_code, n) into v_streak
        from (
          select error_code, count(*) as n, sum(count(*)) over () as failed
          from (
            select e.kind, e.error_code from public.machine_events e
            where e.kind in ('running', 'adopted', 'failed', 'interrupted')
            order by e.id desc limit v_threshold
          ) attempts
          where kind in ('failed', 'interrupted') and not error_code = any (v_at_once)
          group by error_code
        ) failures
        where failed = v_threshold;
      end if;
    end if;

    select coalesce(sum(value::bigint), 0) into v_count from jsonb_each_text(v_failures -> 'byCode');
    select coalesce(array_agg(code), '{}') into v_told from public.alert_codes
    where kind = v_state.kind and last_alert_at > v_now - make_interval(secs => p_cooldown_ms / 1000.0);
    -- What the cooldown of its own code does not keep back.
    v_fresh := (v_failures -> 'byCode') - v_told;
    select coalesce(sum(value::bigint), 0) into v_fresh_count from jsonb_each_text(v_fresh);

    v_event := null;
    if v_fresh_count >= v_threshold then
      v_event := 'firing';
      v_failures := v_failures || jsonb_build_object('byCode', v_fresh, 'count', v_fresh_count);
    elsif v_streak is not null and v_fresh_count > 0 and v_fresh ?| array(select jsonb_object_keys(v_streak)) then
      v_event := 'firing';
      v_failures := v_failures || jsonb_build_object('byCode', v_streak, 'count', v_threshold, 'streak', true);
    elsif not v_state.firing and (v_count >= v_threshold or (v_streak is not null and v_count > 0)) then
      -- Told recovered and failing again: not now, but not never either.
      update public.alert_states set held_back = v_failures || jsonb_build_object('count', v_count)
      where kind = v_state.kind;
    elsif v_state.held_back is not null
      and not (v_state.held_back -> 'byCode') ?| v_told then
      v_event := 'firing';
      v_failures := v_state.held_back;
    elsif v_state.firing and v_count = 0 then
      v_event := 'recovered';
      v_failures := v_failures || jsonb_build_object('count', 0);
    end if;
    continue when v_event is null;

    update public.alert_states set firing = (v_event = 'firing'), held_back = null
    where kind = v_state.kind;
    if v_event = 'firing' then
      insert into public.alert_codes (kind, code, last_alert_at)
      select v_state.kind, code, v_now from jsonb_object_keys(v_failures -> 'byCode') as code
      on conflict (kind, code) do update set last_alert_at = excluded.last_alert_at;
    end if;
    -- What could not be sent before comes first: both are left to take_due_alerts then.
    update public.alerts set next_attempt_at = least(next_attempt_at, v_now)
    where kind = v_state.kind and next_attempt_at is not null and attempts > 0;
    insert into public.alerts (kind, event, content, next_attempt_at)
    values (
      -- The version of the function before this one insists on newestRequestId.
      v_state.kind, v_event, v_failures || '{"newestRequestId": null}',
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
comment on function public.evaluate_alerts is
  'Decides which messages have to be sent now and writes them down, each leased to the caller for p_lease_ms. The cooldown is per code. Beyond a thousand failures of a code (or p_threshold) the content says atLeast. p_by_reconcile: the caller is a run of reconcile.';

-- Which call has noted a failure, so that the call can be repeated after a lost answer.
create unique index machine_events_call on public.machine_events ((detail ->> 'call'))
  where cloud_machine_id is null and detail ? 'call';

drop function public.record_failed_request(text, text, integer);
create function public.record_failed_request(
  p_request_id text, p_error_code text, p_duration_ms integer, p_call text default null
) returns void
language sql
set search_path = ''
as $$
  insert into public.machine_events (request_id, kind, error_code, duration_ms, detail)
  values (
    p_request_id, 'failed', p_error_code, p_duration_ms,
    case when p_call is null then '{}' else jsonb_build_object('call', p_call) end
  )
  on conflict do nothing
$$;
revoke all on function public.record_failed_request from public, anon, authenticated;
grant execute on function public.record_failed_request to service_role;
comment on function public.record_failed_request is
  'Notes a request that failed before it had a row, so that metrics and alerts know of it: once for each p_call, which the function has made up.';

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261129000820' $$;
