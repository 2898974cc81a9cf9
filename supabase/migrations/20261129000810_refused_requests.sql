-- Requests that were refused before they did anything are counted: isolates send what they have counted
-- in memory, at most once in ten seconds.

create function public.count_refused(p_counts jsonb) returns void
language sql
set search_path = ''
as $$
  select public.add_to_metric('refused', jsonb_build_object('code', code), n::bigint)
  from jsonb_each_text(p_counts) as counts (code, n)
$$;
revoke all on function public.count_refused from public, anon, authenticated;
grant execute on function public.count_refused to service_role;
comment on function public.count_refused is
  'Adds what an isolate has refused since it last said so, by code, to the metrics.';

create or replace function public.read_metrics() RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select jsonb_build_object(
    'counters', (
      select coalesce(jsonb_agg(jsonb_build_object('metric', metric, 'labels', labels, 'value', value) order by metric, labels), '[]')
      from (
        select metric, labels, sum(value) as value from public.metric_counters
        where metric <> 'refused' group by metric, labels
      ) totals
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

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261129000810' $$;
