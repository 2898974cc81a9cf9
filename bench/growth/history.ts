/** A database with a past: as many machines as a project has seen after months or years. */
import type { Sql, TransactionSql } from "postgres";

export const APP = "growth-app";

/** As many rows are provisioning as users are active, however long the history is. */
const AT_WORK = { provisioning: 50, due: 20 };

/**
 * Fills the tables up to `machines` rows of `cloud_machines`, with the events of each, and brings the
 * planner's statistics up to date. Rows are spread over ninety days, five per user: 15 % run, 5 %
 * failed, the rest is destroyed.
 */
export async function growTo(sql: Sql, machines: number): Promise<void> {
  await sql.begin(async (transaction) => {
    // Counters and histories are written by triggers, one row at a time: not a million times here.
    await transaction`set local session_replication_role = replica`;
    const [{ n = 0 } = {}] = await transaction<{ n: number }[]>`
      select count(*)::int as n from cloud_machines`;
    await transaction`
      insert into auth.users (id, email)
      select md5('user' || g)::uuid, g || '@example.com'
      from generate_series(${Math.ceil(n / 5)}::int, ${Math.ceil(machines / 5)}::int) g
      on conflict do nothing`;
    await transaction`
      insert into cloud_machines (
        id, user_id, machine_id, fly_machine_id, fly_app_name, region, cpu_priority, status,
        websocket_url, error_code, error_message, idempotency_key, request_hash, request_id,
        deadline_at, reconcile_at, created_at, updated_at, provisioned_at
      )
      select
        md5('machine' || g)::uuid, md5('user' || g / 5)::uuid, 'machine-' || g, 'fly' || g, ${APP},
        (array['iad', 'lhr', 'nrt', 'gru'])[1 + g % 4], 'normal', status,
        'wss://growth-app.fly.dev/machines/' || g,
        case when status = 'error' then 'fly_capacity' end,
        case when status = 'error' then 'no capacity' end,
        'key-' || g, md5(g::text), 'request-' || g,
        at + interval '2 minutes', null, at, at, case when status <> 'error' then at end
      from generate_series(${n + 1}::int, ${machines}::int) g
      cross join lateral (
        select case when g % 20 < 3 then 'running' when g % 20 = 3 then 'error' else 'destroyed' end as status,
          now() - interval '1 hour' - interval '90 days' * (g % 9973) / 9973.0 as at
      ) made`;
    await transaction`
      insert into machine_events (cloud_machine_id, request_id, kind, error_code, duration_ms, created_at)
      select m.id, m.request_id, e.kind, case when e.kind = 'failed' then m.error_code end, e.ms,
        m.created_at + make_interval(secs => e.ms / 1000.0)
      from generate_series(${n + 1}::int, ${machines}::int) g
      join cloud_machines m on m.id = md5('machine' || g)::uuid
      cross join lateral (values
        ('claimed', 0),
        ('fly_machine_recorded', 900),
        (case when m.status = 'error' then 'failed' else 'running' end, 2500)
      ) as e (kind, ms)`;
    await transaction`
      insert into reconcile_runs (request_id, duration_ms, counts, created_at)
      select 'reconcile-' || g, 300, '{"adopted": 0}', now() - interval '90 days' * g / ${
      machines / 8
    }::float8
      from generate_series(1, ${Math.ceil((machines - n) / 8)}::int) g`;
    await transaction`
      update cloud_machines set status = 'provisioning', provisioned_at = null,
        reconcile_at = now() + interval '1 hour', created_at = now(), deadline_at = now() + interval '1 hour'
      where id in (
        select md5('machine' || g)::uuid from generate_series(1, ${
      AT_WORK.provisioning * 20
    }::int, 20) g
      )`;
    await transaction`
      update cloud_machines set reconcile_at = now() - interval '1 second'
      where id in (select md5('machine' || g)::uuid from generate_series(3, ${
      AT_WORK.due * 20
    }::int, 20) g)`;
    await countAgain(transaction);
  });
  await sql.unsafe("vacuum analyze");
}

/** What the triggers would have counted, spread over the shards. */
async function countAgain(sql: TransactionSql): Promise<void> {
  await sql`truncate metric_counters, metric_durations`;
  await sql`
    insert into metric_counters (metric, labels, shard, value)
    select 'machines', jsonb_build_object('status', status, 'region', region), shard, count(*) / 8
    from cloud_machines cross join generate_series(0, 7) shard group by status, region, shard`;
  await sql`
    insert into metric_counters (metric, labels, shard, value)
    select 'attempts', jsonb_build_object(
        'outcome', case when status = 'error' then 'error' else 'running' end,
        'code', coalesce(error_code, ''), 'region', region
      ), shard, count(*) / 8
    from cloud_machines cross join generate_series(0, 7) shard
    group by status = 'error', error_code, region, shard, case when status = 'error' then 'error' else 'running' end`;
  await sql`
    insert into metric_durations (outcome, shard, buckets, sum_ms)
    select outcome, shard, array_fill(1000::bigint, array[cardinality(metric_duration_bounds_ms()) + 1]), 1000000
    from unnest(array['running', 'error']) outcome cross join generate_series(0, 7) shard`;
}
