-- The code fly_account_limit: Fly.io gives the organisation nothing more until an operator acts. Like
-- a broken configuration it alerts at its first failure.

alter table public.cloud_machines drop constraint error_code_is_known;
alter table public.cloud_machines add constraint error_code_is_known check (error_code in (
  'configuration_error',
  'database_error',
  'fly_unauthorized',
  'fly_rate_limited',
  'fly_capacity',
  'fly_account_limit',
  'fly_rejected',
  'fly_unavailable',
  'fly_invalid_response',
  'machine_failed',
  'provision_timeout',
  'internal_error',
  'interrupted',
  'machine_lost'
));

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
      where e.kind in ('failed', 'interrupted') and e.created_at > v_window_start
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

notify pgrst, 'reload schema';

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261126000700' $$;
