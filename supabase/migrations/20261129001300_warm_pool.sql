-- The warm pool: machines that are ready before anybody asks for one. They have a table of their own, so
-- that no row of a user, no policy and no transition knows of them. An entry leaves it for good: with a
-- claim, which writes a user's row under the entry's name in the same transaction, or destroyed.

create table public.pooled_machines (
  id uuid primary key default gen_random_uuid(),
  machine_id text not null unique,
  fly_app_name text not null,
  fly_machine_id text,
  create_bucket text not null,
  region text not null,
  standby text not null,
  config_hash text not null,
  websocket_url text not null,
  state text not null default 'making',
  discard_reason text,
  checked_at timestamptz,
  missing_since timestamptz,
  reconcile_at timestamptz,
  looked_again boolean not null default false,
  made_until timestamptz not null,
  created_at timestamptz not null default now(),
  constraint machine_id_is_a_fly_machine_name check (machine_id ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  constraint standby_is_known check (standby in ('stopped', 'started')),
  constraint state_is_known check (state in ('making', 'ready', 'discarded')),
  constraint ready_entry_has_a_machine check (state <> 'ready' or (fly_machine_id is not null and checked_at is not null)),
  constraint other_entry_is_reconciled check ((state = 'ready') = (reconcile_at is null)),
  constraint discarded_entry_says_why check ((state = 'discarded') = (discard_reason is not null))
);
comment on table public.pooled_machines is 'Machines that stand by for the next claim, and those that reconcile still has to destroy. An entry is deleted once it is a user''s or its machine is gone.';
comment on column public.pooled_machines.machine_id is 'The Fly machine''s name, and that of its app; the user''s row gets it.';
comment on column public.pooled_machines.fly_machine_id is 'Fly.io''s id, once the machine and its addresses have been made.';
comment on column public.pooled_machines.create_bucket is 'What the create was paced with: the organisation.';
comment on column public.pooled_machines.standby is 'The state in which it stands by: stopped or started.';
comment on column public.pooled_machines.config_hash is 'Of everything that the machine was made with; a claim takes only an entry of its own configuration.';
comment on column public.pooled_machines.websocket_url is 'As a user''s row gets it.';
comment on column public.pooled_machines.state is 'making; ready; discarded: reconcile destroys it.';
comment on column public.pooled_machines.checked_at is 'When Fly.io''s list last showed it standing by.';
comment on column public.pooled_machines.missing_since is 'When a complete list first lacked it; such an entry is not taken.';
comment on column public.pooled_machines.reconcile_at is 'From then on reconcile destroys it. Null: it is ready.';
comment on column public.pooled_machines.looked_again is 'Nothing was found to destroy; a create may still land, so there is one more look.';
comment on column public.pooled_machines.made_until is 'What is not ready by then is discarded.';

create index pooled_machines_state on public.pooled_machines (state, created_at);
create index pooled_machines_reconcile_at on public.pooled_machines (reconcile_at) where reconcile_at is not null;

alter table public.pooled_machines enable row level security;
revoke all on public.pooled_machines from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.pooled_machines to service_role;

-- The second guard of "never reused": what was discarded, or was a user's, never stands by again.
create function public.pooled_machines_before_write() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if (tg_op = 'INSERT' and new.state = 'ready')
    or (tg_op = 'UPDATE' and new.state <> old.state and not (
      (old.state = 'making' and new.state in ('ready', 'discarded'))
      or (old.state = 'ready' and new.state = 'discarded')
    )) then
    raise exception 'pooled_machines: this entry cannot become %', new.state
      using errcode = 'check_violation';
  end if;
  if tg_op = 'INSERT' and new.state = 'making'
    and exists (select 1 from public.cloud_machines where machine_id = new.machine_id) then
    raise exception 'pooled_machines: % is the name of a user''s machine', new.machine_id
      using errcode = 'unique_violation';
  end if;
  return new;
end
$$;
revoke all on function public.pooled_machines_before_write from public, anon, authenticated;
grant execute on function public.pooled_machines_before_write to service_role;
create trigger pooled_machines_before_write before insert or update on public.pooled_machines
  for each row execute function public.pooled_machines_before_write();

create function public.count_machines(p_at_most integer) returns integer
language sql stable
set search_path = ''
as $$
  select least(p_at_most, count(*))::integer from (
    (
      select 1 from public.cloud_machines
      where status in ('provisioning', 'running', 'stopped') limit p_at_most
    )
    union all
    (select 1 from public.pooled_machines limit p_at_most)
  ) machines
$$;
revoke all on function public.count_machines from public, anon, authenticated;
grant execute on function public.count_machines to service_role;
comment on function public.count_machines is
  'Live machines of the whole project, the pool included; p_at_most where there are more.';

create function public.pool_target(p_pool_size integer, p_max_machines integer) returns integer
language sql stable
set search_path = ''
as $$
  -- The last tenth of the ceiling is for those whom no entry fits, such as in another region.
  select greatest(0, least(p_pool_size, p_max_machines - ceil(p_max_machines / 10.0)::integer - (
    select count(*)::integer from (
      select 1 from public.cloud_machines
      where status in ('provisioning', 'running', 'stopped') limit p_max_machines
    ) live
  )))
$$;
revoke all on function public.pool_target from public, anon, authenticated;
grant execute on function public.pool_target to service_role;
comment on function public.pool_target is
  'How many entries the pool may have: p_pool_size, or what users leave of p_max_machines.';

create function public.take_pooled_machine(p_config_hash text) returns setof public.pooled_machines
language plpgsql
set search_path = ''
as $$
begin
  return query
    delete from public.pooled_machines where id = (
      select id from public.pooled_machines
      where state = 'ready' and config_hash = p_config_hash and missing_since is null
      order by created_at, id limit 1
      for update skip locked
    )
    returning *;
  if found then
    return;
  end if;
  -- Reconcile notes all entries in one statement: that is worth waiting for, and others' claims are over
  -- as soon.
  return query
    delete from public.pooled_machines where id = (
      select id from public.pooled_machines
      where state = 'ready' and config_hash = p_config_hash and missing_since is null
      order by created_at, id limit 1
      for update
    )
    returning *;
end
$$;
revoke all on function public.take_pooled_machine from public, anon, authenticated;
grant execute on function public.take_pooled_machine to service_role;
comment on function public.take_pooled_machine is
  'Takes the oldest entry of this configuration out of the pool, for a user''s row in the same transaction; none where there is none.';

create function public.replace_pooled_machine(
  p_id uuid,
  p_refused_name text,
  p_reason text,
  p_config_hash text,
  p_standby text,
  p_name_prefix text,
  p_random text,
  p_websocket_url_template text,
  p_max_machines integer,
  p_rate_per_second numeric,
  p_burst integer,
  p_wait_at_most_ms integer,
  p_request_id text,
  p_duration_ms integer
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_machine public.cloud_machines;
  v_next public.pooled_machines;
  v_name text;
  v_slot_at timestamptz;
  v_wait_ms integer := 0;
  v_granted boolean;
begin
  select * into v_machine from public.cloud_machines where id = p_id for update;
  if not found then
    return jsonb_build_object('outcome', 'not_found');
  end if;
  if v_machine.status <> 'provisioning' or v_machine.destroy_requested_at is not null then
    return jsonb_build_object('outcome', 'conflict', 'machine', to_jsonb(v_machine));
  end if;
  -- The same call again: its answer was lost.
  if v_machine.machine_id <> p_refused_name then
    select greatest(ceil(extract(epoch from slot_at - clock_timestamp()) * 1000), 0) into v_wait_ms
    from public.fly_create_slots where cloud_machine_id = p_id;
    return jsonb_build_object(
      'outcome', case when v_machine.fly_machine_id is null then 'create' else 'pooled' end,
      'machine', to_jsonb(v_machine), 'wait_ms', coalesce(v_wait_ms, 0)
    );
  end if;

  select * into v_next from public.take_pooled_machine(p_config_hash);
  if v_next.id is null then
    -- The machine that could not be started exists until reconcile has destroyed it.
    perform pg_advisory_xact_lock(hashtextextended('provision-machine: all machines', 0));
    if public.count_machines(p_max_machines) >= p_max_machines then
      return jsonb_build_object('outcome', 'full', 'machine', to_jsonb(v_machine));
    end if;
    select slot.slot_at, slot.wait_ms, slot.granted into v_slot_at, v_wait_ms, v_granted
    from public.reserve_create_slot(
      array[v_machine.create_bucket], v_machine.user_id, p_rate_per_second, p_burst, p_wait_at_most_ms
    ) slot;
    if not v_granted then
      return jsonb_build_object('outcome', 'no_slot', 'machine', to_jsonb(v_machine), 'wait_ms', v_wait_ms);
    end if;
  end if;
  v_name := coalesce(
    v_next.machine_id,
    p_name_prefix || '-' || (select tag from public.installation) || '-' || p_random
  );

  insert into public.pooled_machines (
    machine_id, fly_app_name, fly_machine_id, create_bucket, region, standby, config_hash, websocket_url,
    state, discard_reason, reconcile_at, made_until
  ) values (
    v_machine.machine_id, v_machine.fly_app_name, v_machine.fly_machine_id, v_machine.create_bucket,
    v_machine.region, p_standby, p_config_hash, v_machine.websocket_url,
    'discarded', left(p_reason, 500), now(), now()
  );
  update public.cloud_machines
  set machine_id = v_name, fly_app_name = v_name,
    fly_machine_id = v_next.fly_machine_id, region = coalesce(v_next.region, region),
    former_machine_ids = former_machine_ids || machine_id,
    websocket_url_template = null,
    websocket_url = coalesce(
      v_next.websocket_url,
      replace(replace(p_websocket_url_template, '{app}', v_name), '{machineId}', v_name)
    )
  where id = p_id
  returning * into v_machine;
  if v_wait_ms > 0 then
    insert into public.fly_create_slots (app_name, slot_at, cloud_machine_id, user_id)
    values (v_machine.create_bucket, v_slot_at, p_id, v_machine.user_id);
  end if;
  insert into public.machine_events (cloud_machine_id, request_id, kind, duration_ms, detail)
  values (p_id, p_request_id, 'renamed', p_duration_ms, jsonb_build_object(
    'from', p_refused_name, 'to', v_name, 'reason', left(p_reason, 500)
  ));
  return jsonb_build_object(
    'outcome', case when v_next.id is null then 'create' else 'pooled' end,
    'machine', to_jsonb(v_machine), 'wait_ms', v_wait_ms
  );
end
$$;
revoke all on function public.replace_pooled_machine from public, anon, authenticated;
grant execute on function public.replace_pooled_machine to service_role;
comment on function public.replace_pooled_machine is
  'The machine from the pool that this row got cannot be started: it is left to reconcile, and the row gets the next one, or a new name where there is none. outcome: pooled; create (the create may be sent in wait_ms); no_slot (the next slot is wait_ms away) and full, which change nothing; conflict when the row was closed or must be destroyed; not_found.';

create function public.add_pooled_machine(
  p_name_prefix text,
  p_random text,
  p_create_bucket text,
  p_region text,
  p_standby text,
  p_config_hash text,
  p_websocket_url_template text,
  p_pool_size integer,
  p_max_machines integer,
  p_rate_per_second numeric,
  p_make_within_ms integer
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_name constant text :=
    p_name_prefix || '-' || (select tag from public.installation) || '-' || p_random;
  v_interval constant interval := make_interval(secs => (1 / p_rate_per_second)::double precision);
  v_entry public.pooled_machines;
  v_full_at timestamptz;
  v_now timestamptz;
begin
  -- As in a claim: one at a time counts, so that two never take the last place.
  perform pg_advisory_xact_lock(hashtextextended('provision-machine: all machines', 0));
  -- The same call again: its answer was lost.
  select * into v_entry from public.pooled_machines where machine_id = v_name;
  if found then
    return jsonb_build_object('outcome', 'added', 'entry', to_jsonb(v_entry));
  end if;
  if (
    select count(*) from public.pooled_machines where state <> 'discarded'
  ) >= public.pool_target(p_pool_size, p_max_machines)
    or public.count_machines(p_max_machines) >= p_max_machines then
    return jsonb_build_object('outcome', 'enough');
  end if;

  insert into public.fly_create_buckets (app_name) values (p_create_bucket) on conflict do nothing;
  select full_at into v_full_at from public.fly_create_buckets where app_name = p_create_bucket for update;
  v_now := clock_timestamp();
  -- Only what users leave over: the bucket is full, so their next burst still finds all but one.
  if v_full_at > v_now or exists (
    select 1 from public.fly_create_slots
    where app_name = p_create_bucket and cloud_machine_id is not null and slot_at > v_now
  ) then
    return jsonb_build_object(
      'outcome', 'busy', 'wait_ms', greatest(ceil(extract(epoch from v_full_at - v_now) * 1000), 0)
    );
  end if;
  update public.fly_create_buckets set full_at = v_now + v_interval where app_name = p_create_bucket;

  insert into public.pooled_machines (
    machine_id, fly_app_name, create_bucket, region, standby, config_hash, websocket_url,
    made_until, reconcile_at
  ) values (
    v_name, v_name, p_create_bucket, p_region, p_standby, p_config_hash,
    replace(replace(p_websocket_url_template, '{app}', v_name), '{machineId}', v_name),
    now() + make_interval(secs => p_make_within_ms / 1000.0),
    -- Its maker is done by then, or dead.
    now() + interval '2 minutes'
  ) returning * into v_entry;
  return jsonb_build_object('outcome', 'added', 'entry', to_jsonb(v_entry));
end
$$;
revoke all on function public.add_pooled_machine from public, anon, authenticated;
grant execute on function public.add_pooled_machine to service_role;
comment on function public.add_pooled_machine is
  'Writes an entry before its machine is made. outcome: added; enough (the pool, or MAX_MACHINES, is full); busy (users have all creates for at least wait_ms).';

create function public.record_pooled_machine(p_id uuid, p_fly_machine_id text, p_region text) returns boolean
language plpgsql
set search_path = ''
as $$
begin
  update public.pooled_machines
  set fly_machine_id = p_fly_machine_id, region = p_region, reconcile_at = made_until
  where id = p_id and state = 'making';
  return found;
end
$$;
revoke all on function public.record_pooled_machine from public, anon, authenticated;
grant execute on function public.record_pooled_machine to service_role;
comment on function public.record_pooled_machine is
  'The entry''s machine and addresses have been made. False: the entry was discarded meanwhile.';

create function public.discard_pooled_machine(p_id uuid, p_reason text) returns boolean
language plpgsql
set search_path = ''
as $$
begin
  update public.pooled_machines
  set state = 'discarded', discard_reason = left(p_reason, 500), reconcile_at = now()
  where id = p_id and state <> 'discarded';
  return found;
end
$$;
revoke all on function public.discard_pooled_machine from public, anon, authenticated;
grant execute on function public.discard_pooled_machine to service_role;
comment on function public.discard_pooled_machine is
  'Nobody gets this entry: reconcile destroys its machine. False: it is somebody''s, gone or discarded already.';

create function public.note_pooled_machines(
  p_create_bucket text,
  p_present uuid[],
  p_listed uuid[],
  p_complete boolean
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_discarded jsonb;
begin
  update public.pooled_machines
  set state = 'ready', checked_at = now(), missing_since = null, reconcile_at = null
  where id = any (p_present) and state <> 'discarded' and fly_machine_id is not null;
  if not p_complete then
    return jsonb_build_array();
  end if;
  -- As for a user's machine, two sightings a minute apart: one list proves nothing.
  update public.pooled_machines set missing_since = now()
  where state = 'ready' and missing_since is null and create_bucket = p_create_bucket and id <> all (p_listed);
  with gone as (
    update public.pooled_machines
    set state = 'discarded', discard_reason = 'it is missing at Fly.io', reconcile_at = now()
    where state = 'ready' and create_bucket = p_create_bucket and id <> all (p_listed)
      and missing_since <= now() - interval '1 minute'
    returning machine_id, fly_machine_id, discard_reason
  )
  select coalesce(jsonb_agg(to_jsonb(gone)), '[]') into v_discarded from gone;
  return v_discarded;
end
$$;
revoke all on function public.note_pooled_machines from public, anon, authenticated;
grant execute on function public.note_pooled_machines to service_role;
comment on function public.note_pooled_machines is
  'What a list of Fly.io, of p_create_bucket, shows of the pool: p_present stand by as they should, p_listed are on it at all. Returns the entries that are discarded because they are missing.';

create function public.settle_pool(
  p_pool_size integer,
  p_max_machines integer,
  p_limit integer,
  p_lease_ms integer,
  p_config_hash text default null
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_target constant integer := public.pool_target(p_pool_size, p_max_machines);
  v_discarded jsonb;
  v_due jsonb;
begin
  with useless as (
    select id,
      case when config_hash <> p_config_hash
        then 'the configuration has changed' else 'the pool is larger than it may be' end as reason
    from (
      select id, config_hash, row_number() over (
        partition by config_hash = p_config_hash order by state = 'ready' desc, created_at, id
      ) as place
      from public.pooled_machines where state <> 'discarded'
    ) entries
    where config_hash <> p_config_hash or (p_config_hash is not null and place > v_target)
  ), locked as (
    -- One that is just being claimed is left alone.
    select m.id, u.reason from public.pooled_machines m join useless u on u.id = m.id
    where m.state <> 'discarded'
    for update of m skip locked
  ), discarded as (
    update public.pooled_machines m
    set state = 'discarded', discard_reason = locked.reason, reconcile_at = now()
    from locked where m.id = locked.id
    returning m.machine_id, m.fly_machine_id, m.discard_reason
  )
  select coalesce(jsonb_agg(to_jsonb(discarded)), '[]') into v_discarded from discarded;

  with due as (
    select id from public.pooled_machines
    where reconcile_at <= now()
    order by reconcile_at, id limit p_limit
    for update skip locked
  ), taken as (
    update public.pooled_machines m
    set state = 'discarded', discard_reason = coalesce(discard_reason, 'it was not ready in time'),
      reconcile_at = now() + make_interval(secs => p_lease_ms / 1000.0)
    from due where m.id = due.id
    returning m.*
  )
  select coalesce(jsonb_agg(to_jsonb(taken) order by taken.created_at, taken.id), '[]') into v_due
  from taken;
  return jsonb_build_object('discarded', v_discarded, 'due', v_due);
end
$$;
revoke all on function public.settle_pool from public, anon, authenticated;
grant execute on function public.settle_pool to service_role;
comment on function public.settle_pool is
  'Discards the entries of another configuration and those beyond the pool''s size, and returns them; p_config_hash null leaves them. due: entries whose machines are to be destroyed, each handed to one taker at a time for p_lease_ms.';

create function public.finish_pooled_machine(p_id uuid, p_gone boolean) returns void
language sql
set search_path = ''
as $$
  delete from public.pooled_machines where id = p_id and state = 'discarded' and (p_gone or looked_again);
  -- Nothing was there; a create that is under way may still land.
  update public.pooled_machines
  set looked_again = true, reconcile_at = greatest(made_until, now() + interval '1 minute')
  where id = p_id and state = 'discarded';
$$;
revoke all on function public.finish_pooled_machine from public, anon, authenticated;
grant execute on function public.finish_pooled_machine to service_role;
comment on function public.finish_pooled_machine is
  'The machine of a discarded entry is gone (p_gone), or was not found: then it is looked for once more.';

create function public.read_machines(p_names text[], p_fly_machine_ids text[]) returns jsonb
language sql stable
set search_path = ''
as $$
  -- In one statement: a machine that a claim is just taking is in one of the two.
  select jsonb_build_object(
    'owners', (
      select coalesce(jsonb_agg(to_jsonb(m)), '[]') from public.cloud_machines m
      where m.machine_id = any (p_names) or m.fly_machine_id = any (p_fly_machine_ids)
    ),
    'pooled', (
      select coalesce(jsonb_agg(to_jsonb(p)), '[]') from public.pooled_machines p
      where p.machine_id = any (p_names)
    )
  )
$$;
revoke all on function public.read_machines from public, anon, authenticated;
grant execute on function public.read_machines to service_role;
comment on function public.read_machines is
  'The rows that own machines with these names or Fly ids, in whatever status, and the entries of the pool with these names.';
