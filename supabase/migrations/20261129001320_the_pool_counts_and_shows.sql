-- The pool counts and shows: in the alerts about a full fleet, in health and metrics; and a copied database
-- leaves the pool to the project that it was copied from.

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
  v_new jsonb := jsonb_build_array();
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
      v_live := public.count_machines(coalesce(p_max_machines, 0));
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

create or replace function public.read_metrics() returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    'counters', (
      select coalesce(jsonb_agg(jsonb_build_object('metric', metric, 'labels', labels, 'value', value) order by metric, labels), '[]')
      from (
        select metric, labels, sum(value) as value from public.metric_counters
        where metric <> 'refused' group by metric, labels
      ) totals
    ),
    'pool_entries', (
      select coalesce(jsonb_object_agg(state, n), '{}') from (
        select state, count(*) as n from public.pooled_machines group by state
      ) states
    ),
    -- Apart: the version of the function before this one takes no counter that it does not know.
    'refused', (
      select coalesce(jsonb_object_agg(code, n), '{}') from (
        select labels ->> 'code' as code, sum(value) as n from public.metric_counters
        where metric = 'refused' group by labels
      ) refused
    ),
    'durations', (
      select coalesce(jsonb_agg(jsonb_build_object('outcome', outcome, 'buckets', buckets, 'sum_ms', sum_ms) order by outcome), '[]')
      from (
        select outcome, sum(sum_ms) as sum_ms, (
          select jsonb_agg(n order by position) from (
            select position, sum(count) as n
            from public.metric_durations d
            cross join lateral unnest(d.buckets) with ordinality as b (count, position)
            where d.outcome = outcomes.outcome
            group by position
          ) merged
        ) as buckets
        from public.metric_durations outcomes
        group by outcome
      ) histograms
    ),
    'duration_bounds_ms', public.metric_duration_bounds_ms(),
    'oldest_provisioning_seconds', (
      select coalesce(extract(epoch from now() - min(created_at)), 0)
      from public.cloud_machines where status = 'provisioning'
    ),
    'due_rows', (select count(*) from public.cloud_machines where reconcile_at <= now()),
    -- A row that is leased is not due, so this tells what reconcile tries again and again in vain.
    'oldest_cleanup_seconds', (
      select coalesce(extract(epoch from greatest(now() - min(coalesce(destroy_requested_at, deadline_at)), interval '0')), 0)
      from public.cloud_machines where reconcile_at is not null and status <> 'provisioning'
    ),
    'waiting_creates', (select count(*) from public.fly_create_slots where slot_at > now() and cloud_machine_id is not null),
    'reconcile_last_run', (select extract(epoch from max(created_at)) from public.reconcile_runs)
  )
$$;

create or replace function public.read_health() returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    'schema_version', public.schema_version(),
    'reconcile_age_seconds', (
      select extract(epoch from now() - max(created_at)) from public.reconcile_runs
    ),
    'reconcile_problem', public.reconcile_problem(),
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
    'pool_ready', (
      select count(*) from public.pooled_machines where state = 'ready' and missing_since is null
    ),
    'orphans_held', (select orphans_held from public.installation),
    'project_host', (select project_host from public.installation)
  )
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
  delete from public.pooled_machines;
  update public.cloud_machines set reconcile_at = null
  where status in ('error', 'destroyed') and reconcile_at is not null;
  return v_closed || ' rows closed; their machines stay with the project that was copied from.';
end
$$;

create or replace function public.schema_version() returns text
language sql immutable
set search_path = ''
as $$ select '20261129001320' $$;
