-- Putting a create off and closing its row at the same time: a deadlock, since each locked first what
-- the other locked last. The same function as before, but for its first statement.

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
  select fly_app_name, user_id into v_app_name, v_user_id from public.cloud_machines
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

-- The newest migration, as /health compares it.
create or replace function public.read_health() returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    -- The newest migration. The function's code names the one that it was written for.
    'schema_version', '20261125000000',
    'reconcile_age_seconds', (
      select extract(epoch from now() - max(created_at)) from public.reconcile_runs
    ),
    'overdue_rows', (
      select count(*) from public.cloud_machines
      where status = 'provisioning' and deadline_at < now() - interval '2 minutes'
    ),
    -- Tried in vain, or given up within the last day.
    'undelivered_alerts', (
      select count(*) from public.alerts
      where sent_at is null and attempts > 0 and (
        next_attempt_at is not null or created_at > now() - interval '1 day'
      )
    )
  )
$$;

comment on column public.cloud_machines.request_hash is
  'SHA-256 of the request, to tell a repeated request from a reused key; empty where there is no key.';
