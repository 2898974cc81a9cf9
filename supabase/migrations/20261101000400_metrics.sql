-- Metrics. Isolates are short-lived and many, so what they count is counted here. Counters are kept
-- beside the events and not computed from them: a scrape costs the same with ten events or ten
-- million, and no counter goes down when old events are deleted.

create table public.metric_counters (
  metric text not null,
  labels jsonb not null,
  shard smallint not null,
  value bigint not null,
  primary key (metric, labels, shard)
);

comment on table public.metric_counters is
  'Running totals. The sum over the shards of a metric and its labels is its value.';
comment on column public.metric_counters.labels is 'Prometheus labels.';
comment on column public.metric_counters.shard is
  'Spreads one hot total over several rows, so that concurrent calls do not queue for it.';

create table public.metric_durations (
  outcome text not null,
  shard smallint not null,
  buckets bigint[] not null,
  sum_ms bigint not null,
  primary key (outcome, shard)
);

comment on table public.metric_durations is 'How long provisioning took, as a histogram per outcome.';
comment on column public.metric_durations.buckets is
  'How many fell into each bucket of metric_duration_bounds_ms(); the last one is everything longer.';

alter table public.metric_counters enable row level security;
alter table public.metric_durations enable row level security;
revoke all on public.metric_counters, public.metric_durations from public, anon, authenticated, service_role;
grant select, insert, update on public.metric_counters, public.metric_durations to service_role;

-- How long has the oldest been provisioning?
create index cloud_machines_provisioning_since
  on public.cloud_machines (created_at)
  where status = 'provisioning';

create function public.metric_duration_bounds_ms() returns integer[]
language sql immutable
set search_path = ''
as $$ select array[500, 1000, 2000, 3000, 5000, 10000, 20000, 30000, 60000, 90000, 120000, 150000] $$;

comment on function public.metric_duration_bounds_ms is
  'Upper bounds of the histogram''s buckets, up to the platform''s limit of 150 s.';

create function public.add_to_metric(p_metric text, p_labels jsonb, p_by bigint default 1) returns void
language sql
set search_path = ''
as $$
  insert into public.metric_counters as c (metric, labels, shard, value)
  values (p_metric, p_labels, pg_backend_pid() % 8, p_by)
  on conflict (metric, labels, shard) do update set value = c.value + excluded.value
$$;

create function public.add_to_durations(p_outcome text, p_ms bigint) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_bounds constant integer[] := public.metric_duration_bounds_ms();
  -- The first bucket whose bound is not exceeded; width_bucket counts a bound to the next one.
  v_bucket constant integer := width_bucket(p_ms - 1, v_bounds) + 1;
begin
  insert into public.metric_durations as d (outcome, shard, buckets, sum_ms)
  values (p_outcome, pg_backend_pid() % 8, array_fill(0::bigint, array[cardinality(v_bounds) + 1]), 0)
  on conflict (outcome, shard) do nothing;
  update public.metric_durations
  set buckets[v_bucket] = buckets[v_bucket] + 1, sum_ms = sum_ms + p_ms
  where outcome = p_outcome and shard = pg_backend_pid() % 8;
end
$$;

create function public.machine_events_after_insert() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  v_outcome text;
  v_region text;
begin
  v_outcome := case new.kind
    when 'running' then 'running' when 'adopted' then 'running'
    when 'failed' then 'error' when 'interrupted' then 'error'
  end;
  if v_outcome is null then
    return null;
  end if;
  select region into v_region from public.cloud_machines where id = new.cloud_machine_id;
  perform public.add_to_metric(
    'attempts',
    jsonb_build_object('outcome', v_outcome, 'code', coalesce(new.error_code, ''), 'region', coalesce(v_region, ''))
  );
  -- How long reconcile took to find a dead request says nothing about provisioning.
  if new.kind in ('running', 'failed') then
    perform public.add_to_durations(v_outcome, coalesce(new.duration_ms, 0));
  end if;
  return null;
end
$$;

create trigger machine_events_after_insert
  after insert on public.machine_events
  for each row execute function public.machine_events_after_insert();

create function public.record_failed_request(
  p_request_id text,
  p_error_code text,
  p_duration_ms integer
) returns void
language sql
set search_path = ''
as $$
  insert into public.machine_events (request_id, kind, error_code, duration_ms)
  select p_request_id, 'failed', p_error_code, p_duration_ms
  where not exists (
    select 1 from public.machine_events
    where kind = 'failed' and cloud_machine_id is null and request_id = p_request_id
      and created_at > now() - interval '1 hour'
  )
$$;

comment on function public.record_failed_request is
  'Notes a request that failed before it had a row, so that metrics and alerts know of it.';

create function public.cloud_machines_count() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  v_change record;
begin
  -- Always in the order of the labels: two calls that count in opposite orders would wait for each
  -- other for good.
  for v_change in
    select labels, delta from (
      values
        (case when tg_op <> 'INSERT' then jsonb_build_object('status', old.status, 'region', old.region) end, -1),
        (case when tg_op <> 'DELETE' then jsonb_build_object('status', new.status, 'region', new.region) end, 1)
    ) as changes (labels, delta)
    where labels is not null
    order by labels
  loop
    perform public.add_to_metric('machines', v_change.labels, v_change.delta);
  end loop;
  return null;
end
$$;

create trigger cloud_machines_count
  after insert or delete on public.cloud_machines
  for each row execute function public.cloud_machines_count();

create trigger cloud_machines_recount
  after update on public.cloud_machines
  for each row
  when (old.status <> new.status or old.region <> new.region)
  execute function public.cloud_machines_count();

create function public.reconcile_runs_after_insert() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform public.add_to_metric('reconcile_actions', jsonb_build_object('action', key), value::bigint)
  from jsonb_each_text(new.counts);
  return null;
end
$$;

create trigger reconcile_runs_after_insert
  after insert on public.reconcile_runs
  for each row execute function public.reconcile_runs_after_insert();

create function public.read_metrics() returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'counters', (
      select coalesce(jsonb_agg(jsonb_build_object('metric', metric, 'labels', labels, 'value', value) order by metric, labels), '[]')
      from (
        select metric, labels, sum(value) as value from public.metric_counters group by metric, labels
      ) totals
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

comment on function public.read_metrics is 'Everything that GET /metrics shows, in one call.';

revoke execute on function
  public.metric_duration_bounds_ms, public.add_to_metric, public.add_to_durations,
  public.machine_events_after_insert, public.record_failed_request, public.cloud_machines_count, public.reconcile_runs_after_insert,
  public.read_metrics
from public, anon, authenticated;
grant execute on function
  public.metric_duration_bounds_ms, public.add_to_metric, public.add_to_durations,
  public.machine_events_after_insert, public.record_failed_request, public.cloud_machines_count, public.reconcile_runs_after_insert,
  public.read_metrics
to service_role;
