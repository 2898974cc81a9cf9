-- Alerts. Whether to alert is decided here, under a lock, so that many isolates failing at the same
-- moment send one message; a message is written down before it is sent, so that none is lost.

create table public.alert_states (
  kind text primary key,
  firing boolean not null default false,
  last_alert_at timestamptz,
  held_back jsonb,

  constraint kind_is_known check (kind in ('failures', 'configuration'))
);

comment on table public.alert_states is 'Whether each kind of alert is firing, and when it last told so.';
comment on column public.alert_states.held_back is
  'What the cooldown kept from being told after a recovery; told when the cooldown is over.';
insert into public.alert_states (kind) values ('failures'), ('configuration');

create table public.alerts (
  id bigint generated always as identity primary key,
  kind text not null references public.alert_states (kind),
  event text not null,
  content jsonb not null,
  attempts integer not null default 0,
  next_attempt_at timestamptz,
  sent_at timestamptz,
  last_error text,
  created_at timestamptz not null default now(),

  constraint event_is_known check (event in ('firing', 'recovered')),
  constraint sent_alert_is_not_due check (sent_at is null or next_attempt_at is null)
);

comment on table public.alerts is 'Every alert and recovery message, sent or still to be sent.';
comment on column public.alerts.content is 'What the message says: counts by code, newest request id, window.';
comment on column public.alerts.next_attempt_at is 'When to try to send it (again); null once sent or given up.';

-- take_due_alerts reads what is to be sent.
create index alerts_next_attempt_at on public.alerts (next_attempt_at) where next_attempt_at is not null;
-- evaluate_alerts counts the failures of the last minutes.
create index machine_events_failures
  on public.machine_events (created_at desc)
  where kind in ('failed', 'interrupted');

alter table public.alert_states enable row level security;
alter table public.alerts enable row level security;
revoke all on public.alert_states, public.alerts from public, anon, authenticated, service_role;
grant select, update on public.alert_states to service_role;
grant select, insert, update on public.alerts to service_role;

create function public.evaluate_alerts(
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
    -- A broken configuration fails every request: the first one is enough.
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
        and (e.error_code = 'configuration_error') = (v_state.kind = 'configuration')
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

comment on function public.evaluate_alerts is
  'Decides which messages have to be sent now and writes them down, each leased to the caller for p_lease_ms.';

create function public.take_due_alerts(p_limit integer, p_lease_ms integer) returns jsonb
language sql
set search_path = ''
as $$
  with due as (
    select a.id from public.alerts a
    where a.next_attempt_at <= now() and not exists (
      -- Messages of a kind go out in their order: no recovery before what it is from.
      select 1 from public.alerts earlier
      where earlier.kind = a.kind and earlier.id < a.id and earlier.next_attempt_at > now()
    )
    order by a.id limit p_limit for update skip locked
  ), taken as (
    update public.alerts a set next_attempt_at = now() + make_interval(secs => p_lease_ms / 1000.0)
    from due where a.id = due.id
    returning a.*
  )
  select coalesce(jsonb_agg(to_jsonb(taken) order by taken.id), '[]') from taken
$$;

comment on function public.take_due_alerts is
  'Messages that could not be sent before, each handed to one taker at a time for p_lease_ms.';

create function public.finish_alert(
  p_id bigint,
  p_error text default null,
  p_retry_in_ms integer default null
) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_alert public.alerts;
begin
  update public.alerts
  set attempts = attempts + 1,
    sent_at = case when p_error is null then now() end,
    last_error = left(p_error, 500),
    next_attempt_at = case when p_error is not null then now() + make_interval(secs => p_retry_in_ms / 1000.0) end
  where id = p_id and sent_at is null
  returning * into v_alert;
  if found and p_error is null then
    perform public.add_to_metric('alerts_sent', jsonb_build_object('kind', v_alert.kind, 'event', v_alert.event));
  end if;
end
$$;

comment on function public.finish_alert is
  'Notes that a message was sent, or why not (p_error) and when to try again (p_retry_in_ms; null: never).';

revoke execute on function public.evaluate_alerts, public.take_due_alerts, public.finish_alert
  from public, anon, authenticated;
grant execute on function public.evaluate_alerts, public.take_due_alerts, public.finish_alert to service_role;
