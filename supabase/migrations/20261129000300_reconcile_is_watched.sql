-- A reconcile that is late or fails is reported: health fails, and the next request sends one alert. Due
-- rows survive a lost answer, and history is deleted for good.

create function public.reconcile_problem() returns text
language sql stable
set search_path = ''
as $$
  select case
    when not exists (select 1 from public.reconcile_runs) then
      case when i.created_at < now() - interval '10 minutes' then 'never' end
    when not exists (
      select 1 from public.reconcile_runs where created_at > now() - interval '10 minutes'
    ) then 'late'
    -- Whatever they tried failed, at least five times and for ten minutes.
    when (
      select count(*) >= 5 and bool_and((r.counts ->> 'failed')::integer > 0 and (
        select coalesce(sum(value::integer), 0) = 0 from jsonb_each_text(r.counts)
        where key not in ('failed', 'suspected', 'orphansHeld', 'alertsSent')
      ))
      from public.reconcile_runs r where r.created_at > now() - interval '10 minutes'
    ) then 'failing'
  end
  from public.installation i
$$;
revoke all on function public.reconcile_problem from public, anon, authenticated;
grant execute on function public.reconcile_problem to service_role;
comment on function public.reconcile_problem is
  'What is wrong with reconcile: never (it has not run yet), late (not for ten minutes), failing (all it tried has failed for ten minutes); null when nothing is.';

alter table public.alert_states drop constraint kind_is_known;
alter table public.alert_states add constraint kind_is_known
  check (kind in ('failures', 'configuration', 'reconcile'));
insert into public.alert_states (kind) values ('reconcile');

drop function public.evaluate_alerts(integer, integer, integer, integer);

create function public.evaluate_alerts(
  p_threshold integer,
  p_window_ms integer,
  p_cooldown_ms integer,
  p_lease_ms integer,
  p_by_reconcile boolean default false
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

-- Its answer says what is wrong with reconcile, without a call for it.

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
    'wait_ms', v_wait_ms,
    'reconcile_problem', public.reconcile_problem()
  );
end
$$;

create or replace function public.read_health() returns jsonb
language sql
stable
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
    'orphans_held', (select orphans_held from public.installation),
    'project_host', (select project_host from public.installation)
  )
$$;

create index cloud_machines_live_by_bucket on public.cloud_machines (create_bucket)
  where status in ('running', 'stopped');

create or replace function public.begin_reconcile(p_project_host text default null) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_buckets jsonb;
  v_fenced constant boolean := public.is_fenced(p_project_host);
begin
  -- One step of the index for each bucket: there are few.
  with recursive buckets (name) as (
    (
      select create_bucket from public.cloud_machines
      where status in ('running', 'stopped') and create_bucket is not null
      order by create_bucket limit 1
    )
    union all
    select (
      select m.create_bucket from public.cloud_machines m
      where m.status in ('running', 'stopped') and m.create_bucket > b.name
      order by m.create_bucket limit 1
    )
    from buckets b where b.name is not null
  )
  select coalesce(jsonb_agg(name), '[]') into v_buckets from buckets where name is not null;
  return (
    select jsonb_build_object(
      'fenced', v_fenced, 'tag', tag, 'orphans_held', orphans_held, 'buckets', v_buckets
    )
    from public.installation
  );
end
$$;

comment on function public.begin_reconcile is
  'What a run of reconcile has to know first: whether this database belongs to its project, the tag in the names of its machines, how many machines without a row are held back, and where its live machines were made: the shared apps, and org: with an organisation.';

alter table public.cloud_machines add column leased_by text;
comment on column public.cloud_machines.leased_by is
  'The call of take_due_machines that took the row last, so that a repeated call gets the same rows.';

drop function public.take_due_machines(integer, integer);
create function public.take_due_machines(p_limit integer, p_lease_ms integer, p_call text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_taken jsonb;
begin
  -- The same call again: its answer was lost.
  select jsonb_agg(to_jsonb(m) order by m.status <> 'provisioning', m.reconcile_attempts) into v_taken
  from public.cloud_machines m
  where m.reconcile_at is not null and m.leased_by = p_call;
  if v_taken is not null then
    return v_taken;
  end if;

  with due as (
    select m.id, queue.turn, m.reconcile_at as due_at
    from public.cloud_machines m
    join (
      select id, row_number() over (
        partition by user_id order by reconcile_attempts, reconcile_at
      ) as turn
      from public.cloud_machines
      where reconcile_at <= now()
    ) queue on queue.id = m.id
    where m.reconcile_at <= now()
    order by m.status <> 'provisioning', m.reconcile_attempts, queue.turn, m.reconcile_at
    limit p_limit
    for update of m skip locked
  ), taken as (
    -- The lease keeps others away while the taker talks to Fly.io, and gives the row back should it
    -- die. A row that is taken again and again waits longer each time, up to an hour.
    update public.cloud_machines m
    set reconcile_attempts = m.reconcile_attempts + 1, leased_by = p_call,
      reconcile_at = now() + make_interval(secs => p_lease_ms / 1000.0) * case
        when m.status = 'provisioning' then 1
        else least(power(2, m.reconcile_attempts), 60)
      end
    from due
    where m.id = due.id
    returning m as machine, due.turn, due.due_at
  )
  -- In the order of the queue: with too little time, the last are left out.
  select coalesce(jsonb_agg(to_jsonb(machine) order by
    (machine).status <> 'provisioning', (machine).reconcile_attempts, turn, due_at), '[]')
  into v_taken from taken;
  return v_taken;
end
$$;
revoke all on function public.take_due_machines from public, anon, authenticated;
grant execute on function public.take_due_machines to service_role;
comment on function public.take_due_machines is
  'Hands rows that are due to reconcile, each to one taker at a time, for p_lease_ms at least: provisioning rows first, then users in turn. The same p_call again gets the same rows.';

create index cloud_machines_closed on public.cloud_machines (updated_at)
  where status in ('error', 'destroyed') and reconcile_at is null;

create or replace function public.prune_history(p_keep_days integer default 90, p_limit integer default 20000)
returns integer
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_before constant timestamptz := now() - make_interval(days => p_keep_days);
  v_deleted integer;
begin
  with old as (
    select id from public.machine_events where created_at < v_before order by id limit p_limit
  )
  delete from public.machine_events e using old where e.id = old.id;
  get diagnostics v_deleted = row_count;
  delete from public.reconcile_runs where created_at < v_before;
  -- Nobody takes them: the webhook was removed.
  update public.alerts set next_attempt_at = null where next_attempt_at < now() - interval '1 day';
  delete from public.alerts where created_at < v_before and next_attempt_at is null;
  with closed as (
    select id from public.cloud_machines
    where status in ('error', 'destroyed') and reconcile_at is null and updated_at < v_before
    order by updated_at limit p_limit
  )
  delete from public.cloud_machines m using closed where m.id = closed.id;
  -- pg_cron keeps a row of each run for ever.
  if to_regclass('cron.job_run_details') is not null then
    execute $sql$
      delete from cron.job_run_details d using cron.job j
      where j.jobid = d.jobid and j.jobname like 'provision-machine-%'
        and d.end_time < now() - interval '7 days'
    $sql$;
  end if;
  return v_deleted;
end
$$;

comment on function public.prune_history is
  'Deletes events, runs, alerts and closed rows older than p_keep_days, at most p_limit of a kind a call, and pg_cron''s record of our jobs after a week. Counters stay as they are.';

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261129000300' $$;
