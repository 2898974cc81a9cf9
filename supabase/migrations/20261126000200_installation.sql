-- Whose machines are these? Each database has an identity of its own: a random id, a short tag that
-- the names of its machines carry (Fly.io's names cannot be changed from inside a machine, metadata
-- can), and the host of the project that first used it. A database that is found under another host
-- was copied or restored there, and provisions and destroys nothing until an operator says which.

create table public.installation (
  only_row boolean primary key default true check (only_row),
  id uuid not null default gen_random_uuid(),
  tag text not null default left(gen_random_uuid()::text, 6),
  project_host text,
  created_at timestamptz not null default now(),

  constraint tag_is_part_of_a_name check (tag ~ '^[a-z0-9]{4,8}$')
);

comment on table public.installation is 'The identity of this database: exactly one row.';
comment on column public.installation.id is 'Random; new after installation_copied().';
comment on column public.installation.tag is
  'Part of the name of every machine, which proves whose it is.';
comment on column public.installation.project_host is
  'The host of the project that first used this database. Null: the next call that has one records it.';

insert into public.installation default values;

alter table public.installation enable row level security;
revoke all on public.installation from public, anon, authenticated, service_role;
grant select, update on public.installation to service_role;

create function public.is_fenced(p_project_host text) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_host text;
begin
  -- Loopback names and the like, which every local stack shares, neither record nor fence.
  if p_project_host is null then
    return false;
  end if;
  select project_host into v_host from public.installation;
  if v_host is null then
    update public.installation set project_host = p_project_host where project_host is null;
    select project_host into v_host from public.installation;
  end if;
  return v_host <> p_project_host;
end
$$;

comment on function public.is_fenced is
  'Whether the caller''s project is not the one that this database belongs to. The first project is recorded.';

create function public.installation_moved() returns text
language plpgsql
set search_path = ''
as $$
begin
  update public.installation set project_host = null where only_row;
  return 'The next request records its project as the owner of this database and its machines.';
end
$$;

comment on function public.installation_moved is
  'For the SQL editor: this database moved to another project and keeps its machines.';

create function public.installation_copied() returns text
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
    where status in ('provisioning', 'running')
    returning id
  )
  insert into public.machine_events (cloud_machine_id, request_id, kind, detail)
  select id, 'installation_copied', 'destroyed', '{"reason": "the database was copied"}' from closed;
  get diagnostics v_closed = row_count;
  update public.cloud_machines set reconcile_at = null
  where status in ('error', 'destroyed') and reconcile_at is not null;
  return v_closed || ' rows closed; their machines stay with the project that was copied from.';
end
$$;

comment on function public.installation_copied is
  'For the SQL editor: this database is a copy. Its rows are closed, and it gets an identity of its own.';

revoke execute on function
  public.is_fenced, public.installation_moved, public.installation_copied
from public, anon, authenticated, service_role;
grant execute on function public.is_fenced to service_role;

-- The claim composes the name, so that no further call is needed to read the tag.
drop function public.claim_machine;
create function public.claim_machine(
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
  p_project_host text default null
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_machine public.cloud_machines;
  v_slot_at timestamptz;
  v_wait_ms integer := 0;
  v_granted boolean;
  v_app_name text := p_fly_app_names[1];
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
    where user_id = p_user_id and status in ('provisioning', 'running')
    order by created_at desc
    limit 1
    offset greatest(p_machine_limit, 1) - 1;
    if found then
      select * into v_machine from public.cloud_machines
      where user_id = p_user_id and status in ('provisioning', 'running')
      order by created_at desc
      limit 1;
      return jsonb_build_object('outcome', 'limit_reached', 'machine', to_jsonb(v_machine));
    end if;
  end if;

  begin
    if v_error_code is null then
      select slot.app_name, slot.slot_at, slot.wait_ms, slot.granted
      into v_app_name, v_slot_at, v_wait_ms, v_granted
      from public.reserve_create_slot(
        p_fly_app_names, p_user_id, p_rate_per_second, p_burst, p_wait_at_most_ms
      ) slot;
      if not v_granted then
        v_error_code := 'fly_rate_limited';
        v_error_message := 'Too many machines are waiting to be created at Fly.io';
      end if;
    end if;

    insert into public.cloud_machines (
      user_id, machine_id, fly_app_name, region, cpu_priority,
      status, error_code, error_message,
      websocket_url, idempotency_key, request_hash, request_id,
      deadline_at, reconcile_at
    ) values (
      p_user_id, v_machine_id, v_app_name, p_region, p_cpu_priority,
      case when v_error_code is null then 'provisioning' else 'error' end,
      v_error_code, left(v_error_message, 2000),
      replace(replace(p_websocket_url_template, '{app}', v_app_name), '{machineId}', v_machine_id),
      p_idempotency_key, p_request_hash, p_request_id,
      now() + make_interval(secs => p_timeout_ms / 1000.0),
      case when v_error_code is null then now() + make_interval(secs => p_timeout_ms / 1000.0) end
    ) returning * into v_machine;

    if v_error_code is null and v_wait_ms > 0 then
      insert into public.fly_create_slots (app_name, slot_at, cloud_machine_id, user_id)
      values (v_app_name, v_slot_at, v_machine.id, p_user_id);
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
    'wait_ms', v_wait_ms
  );
end
$$;

comment on function public.claim_machine is
  'Writes a machine''s row, or says why not. With p_name_prefix its name is prefix-tag-p_machine_id. outcome: claimed (the create may be sent in wait_ms), replayed, key_reused, limit_reached, no_slot (the row was written as error; the next slot is wait_ms away), fenced (the row was written as error), unknown_user. With p_error_code the row is written as error at once.';

drop function public.request_machine_destroy;
create function public.request_machine_destroy(
  p_machine_id text,
  p_request_id text,
  p_lease_ms integer,
  p_user_id uuid default null,
  p_project_host text default null
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_machine public.cloud_machines;
begin
  select * into v_machine from public.cloud_machines
  where machine_id = p_machine_id and (p_user_id is null or user_id = p_user_id)
  for update;
  if not found then
    return jsonb_build_object('outcome', 'not_found', 'machine', null);
  end if;
  if public.is_fenced(p_project_host) then
    return jsonb_build_object('outcome', 'fenced', 'machine', to_jsonb(v_machine));
  end if;
  if v_machine.status = 'destroyed' then
    return jsonb_build_object('outcome', 'already_destroyed', 'machine', to_jsonb(v_machine));
  end if;

  if v_machine.destroy_requested_at is null then
    insert into public.machine_events (cloud_machine_id, request_id, kind)
    values (v_machine.id, p_request_id, 'destroy_requested');
  end if;

  update public.cloud_machines
  set destroy_requested_at = coalesce(destroy_requested_at, now()),
    -- The caller destroys it now; reconcile takes over should the caller die.
    reconcile_at = case
      when status = 'provisioning' then reconcile_at
      else now() + make_interval(secs => p_lease_ms / 1000.0)
    end
  where id = v_machine.id
  returning * into v_machine;

  return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_machine));
end
$$;

comment on function public.request_machine_destroy is
  'Writes the intent to destroy before Fly.io is called. p_user_id null: a service, any owner. outcome: applied, already_destroyed, fenced, not_found.';

revoke execute on function public.claim_machine, public.request_machine_destroy
from public, anon, authenticated;
grant execute on function public.claim_machine, public.request_machine_destroy to service_role;

notify pgrst, 'reload schema';

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261126000200' $$;
