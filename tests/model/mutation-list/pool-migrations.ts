/** Bugs in the migrations of the warm pool and of regions without room. */
import { MIGRATIONS, type Mutation } from "./mutation.ts";

export const IN_POOL_MIGRATIONS: Mutation[] = [
  {
    name: "forget the Idempotency-Key",
    file: `${MIGRATIONS}/20261129001310_claims_take_from_the_pool.sql`,
    from: "  if p_idempotency_key is not null then",
    to: "  if p_idempotency_key = '' then",
    tests: ["model"],
  },
  {
    name: "drop the lock of claim_machine",
    file: `${MIGRATIONS}/20261129001310_claims_take_from_the_pool.sql`,
    from:
      "  perform pg_advisory_xact_lock(hashtextextended('provision-machine:' || p_user_id::text, 0));\n",
    to: "",
    tests: ["concurrency on Postgres"],
  },
  {
    name: "let a stopped machine escape the limit",
    file: `${MIGRATIONS}/20261129001310_claims_take_from_the_pool.sql`,
    from:
      "and status in ('provisioning', 'running', 'stopped')\n    order by created_at desc\n    limit 1\n    offset",
    to:
      "and status in ('provisioning', 'running')\n    order by created_at desc\n    limit 1\n    offset",
    tests: ["changes"],
  },
  {
    name: "lock the user only when the row is written",
    file: `${MIGRATIONS}/20261129001310_claims_take_from_the_pool.sql`,
    from: "v_user_state := public.lock_user(p_user_id);",
    to: "v_user_state := 'active';",
    tests: ["concurrency on Postgres"],
  },
  {
    name: "count every failure of the window",
    file: `${MIGRATIONS}/20261129001320_the_pool_counts_and_shows.sql`,
    from: "order by e.created_at desc, e.id desc limit v_at_most",
    to: "order by e.created_at desc, e.id desc",
    tests: ["alerts on Postgres"],
  },
  {
    name: "count the live machines without a lock",
    file: `${MIGRATIONS}/20261129001310_claims_take_from_the_pool.sql`,
    from: "perform pg_advisory_xact_lock(hashtextextended('provision-machine: all machines', 0));",
    to: "",
    tests: ["lid on Postgres"],
  },
  {
    name: "leave failed rows out of the rate",
    file: `${MIGRATIONS}/20261129001310_claims_take_from_the_pool.sql`,
    from: "where user_id = p_user_id and created_at > now() - interval '1 hour'",
    to:
      "where user_id = p_user_id and status <> 'error' and created_at > now() - interval '1 hour'",
    tests: ["lid"],
  },
  {
    name: "one app for all machines, although each is to have its own",
    file: `${MIGRATIONS}/20261129001310_claims_take_from_the_pool.sql`,
    from: "when p_own_app and v_bucket is not null then v_machine_id else",
    to: "when p_own_app and v_bucket is not null then left(v_machine_id, -15) else",
    tests: ["connections"],
  },
  {
    name: "one cooldown for all codes",
    file: `${MIGRATIONS}/20261129001320_the_pool_counts_and_shows.sql`,
    from: "v_fresh := (v_failures -> 'byCode') - v_told;",
    to: "v_fresh := case when v_told = '{}' then v_failures -> 'byCode' else '{}' end;",
    tests: ["alerts"],
  },
  {
    name: "no alert for a streak of failures",
    file: `${MIGRATIONS}/20261129001320_the_pool_counts_and_shows.sql`,
    from: "where failed = v_threshold;",
    to: "where failed < 0;",
    tests: ["alerts"],
  },
  {
    name: "leave a variable whose value is cast at each call",
    file: `${MIGRATIONS}/20261129001320_the_pool_counts_and_shows.sql`,
    from: "v_new jsonb := jsonb_build_array();",
    to: "v_new jsonb := '[]';",
    tests: ["hosted Postgres"],
  },
  {
    name: "take a machine of the pool that was made with other settings",
    file: `${MIGRATIONS}/20261129001300_warm_pool.sql`,
    from:
      "where state = 'ready' and config_hash = p_config_hash and missing_since is null\n      order by created_at, id limit 1\n      for update skip locked",
    to:
      "where state = 'ready' and missing_since is null\n      order by created_at, id limit 1\n      for update skip locked",
    tests: ["pool"],
  },
  {
    name: "leave a machine in the pool that a user was given",
    file: `${MIGRATIONS}/20261129001310_claims_take_from_the_pool.sql`,
    from: "select * into v_pooled from public.take_pooled_machine(p_config_hash);",
    to:
      "select * into v_pooled from public.pooled_machines where state = 'ready' and config_hash = p_config_hash order by created_at limit 1;",
    tests: ["pool"],
  },
  {
    name: "fill the pool without regard to MAX_MACHINES",
    file: `${MIGRATIONS}/20261129001300_warm_pool.sql`,
    from:
      "select greatest(0, least(p_pool_size, p_max_machines - ceil(p_max_machines / 10.0)::integer - (",
    to: "select greatest(0, least(p_pool_size, 10 * p_max_machines - (",
    tests: ["pool"],
  },
  {
    name: "leave the machines of the pool out of MAX_MACHINES",
    file: `${MIGRATIONS}/20261129001300_warm_pool.sql`,
    from: "(select 1 from public.pooled_machines limit p_at_most)",
    to: "(select 1 from public.pooled_machines limit 0)",
    tests: ["pool"],
  },
  {
    name: "fill the pool with creates that users wait for",
    file: `${MIGRATIONS}/20261129001300_warm_pool.sql`,
    from: "  if v_full_at > v_now or exists (",
    to:
      "  if v_full_at > v_now + interval '1 hour' or v_full_at is null or not exists (select 1) and exists (",
    tests: ["pool"],
  },
  {
    name: "trust that a machine of the pool is started, however long ago it was seen",
    file: `${MIGRATIONS}/20261129001310_claims_take_from_the_pool.sql`,
    from:
      "and v_pooled.checked_at > now() - make_interval(secs => p_pooled_for_ms / 1000.0) then 'running'",
    to: "then 'running'",
    tests: ["pool"],
  },
  {
    name: "forget the machine of the pool that could not be started",
    file: `${MIGRATIONS}/20261129001300_warm_pool.sql`,
    from: "'discarded', left(p_reason, 500), now(), now()\n  );",
    to: "'discarded', left(p_reason, 500), 'infinity', now()\n  );",
    tests: ["pool"],
  },
  {
    name: "believe for ever that a region is full",
    file: `${MIGRATIONS}/20261129001305_regions_without_room.sql`,
    from: "from public.full_regions where full_until > now()",
    to: "from public.full_regions",
    tests: ["regions"],
  },
];
