-- A stranger's app may have the name of a machine before its app is made: names are one namespace for
-- all of Fly.io. The row then gets another name, as long as nothing can have been made under the first.

alter table public.cloud_machines add column former_machine_ids text[] not null default '{}';
comment on column public.cloud_machines.former_machine_ids is
  'Names that the row had before, which strangers'' apps have; an answer may have given one to the caller, so each still leads to the row.';
create index cloud_machines_former_machine_ids
  on public.cloud_machines using gin (former_machine_ids) where former_machine_ids <> '{}';

alter table public.machine_events drop constraint kind_is_known;
alter table public.machine_events add constraint kind_is_known check (kind in (
  'claimed', 'renamed', 'fly_machine_recorded', 'running', 'failed', 'handed_over', 'destroy_requested',
  'destroyed', 'interrupted', 'adopted', 'cleaned_up', 'machine_lost',
  'start_requested', 'stop_requested', 'suspend_requested', 'change_failed',
  'started', 'stopped', 'crashed'
));

-- A claim that arrives once more, long after its caller gave up on it, finds its row by the name.
create function public.cloud_machines_refuse_a_used_name() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if exists (
    select 1 from public.cloud_machines
    where former_machine_ids <> '{}' and former_machine_ids @> array[new.machine_id]
  ) then
    raise exception 'cloud_machines: % was the name of another row', new.machine_id
      using errcode = 'unique_violation';
  end if;
  return new;
end
$$;

create trigger cloud_machines_refuse_a_used_name
  before insert on public.cloud_machines
  for each row execute function public.cloud_machines_refuse_a_used_name();

create function public.rename_machine(
  p_id uuid,
  p_taken_name text,
  p_name_prefix text,
  p_random text,
  p_websocket_url_template text,
  p_request_id text,
  p_duration_ms integer
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_name constant text :=
    p_name_prefix || '-' || (select tag from public.installation) || '-' || p_random;
  v_machine public.cloud_machines;
begin
  update public.cloud_machines
  set machine_id = v_name, fly_app_name = v_name,
    former_machine_ids = former_machine_ids || machine_id,
    websocket_url = replace(replace(p_websocket_url_template, '{app}', v_name), '{machineId}', v_name)
  where id = p_id and machine_id = p_taken_name and fly_app_name = p_taken_name
    and status = 'provisioning' and destroy_requested_at is null and fly_machine_id is null
  returning * into v_machine;

  if found then
    insert into public.machine_events (cloud_machine_id, request_id, kind, duration_ms, detail)
    values (p_id, p_request_id, 'renamed', p_duration_ms,
      jsonb_build_object('from', p_taken_name, 'to', v_name));
  else
    select * into v_machine from public.cloud_machines where id = p_id;
  end if;

  return jsonb_build_object(
    'outcome', case
      when v_machine.id is null then 'not_found'
      when v_machine.machine_id = v_name and v_machine.status = 'provisioning'
        and v_machine.destroy_requested_at is null then 'applied'
      else 'conflict'
    end,
    'machine', to_jsonb(v_machine)
  );
end
$$;

comment on function public.rename_machine is
  'Gives the row another name, prefix-tag-p_random, since p_taken_name is a stranger''s at Fly.io. outcome: applied (also when it already was); conflict when the row was closed, must be destroyed or has a machine; not_found.';

create function public.find_machine(p_machine_id text, p_user_id uuid default null) returns jsonb
language sql
stable
set search_path = ''
as $$
  select to_jsonb(m) from public.cloud_machines m
  where (
      machine_id = p_machine_id
      or (former_machine_ids <> '{}' and former_machine_ids @> array[p_machine_id])
    )
    and (p_user_id is null or user_id = p_user_id)
$$;

comment on function public.find_machine is
  'The row that has or had this name; null when there is none of this owner. p_user_id null: a service, any owner.';

create or replace function public.request_machine_destroy(
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
  where (
      machine_id = p_machine_id
      or (former_machine_ids <> '{}' and former_machine_ids @> array[p_machine_id])
    )
    and (p_user_id is null or user_id = p_user_id)
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

create or replace function public.request_machine_change(
  p_machine_id text,
  p_change text,
  p_request_id text,
  p_user_id uuid default null,
  p_project_host text default null
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_machine public.cloud_machines;
  v_kind constant text := p_change || '_requested';
begin
  select * into v_machine from public.cloud_machines
  where (
      machine_id = p_machine_id
      or (former_machine_ids <> '{}' and former_machine_ids @> array[p_machine_id])
    )
    and (p_user_id is null or user_id = p_user_id)
  for update;
  if not found then
    return jsonb_build_object('outcome', 'not_found', 'machine', null);
  end if;
  if public.is_fenced(p_project_host) then
    return jsonb_build_object('outcome', 'fenced', 'machine', to_jsonb(v_machine));
  end if;
  if v_machine.status not in ('running', 'stopped') or v_machine.destroy_requested_at is not null then
    return jsonb_build_object('outcome', 'conflict', 'machine', to_jsonb(v_machine));
  end if;
  -- The intent: what Fly.io then does was asked for. Asked again, it says nothing new.
  insert into public.machine_events (cloud_machine_id, request_id, kind)
  select v_machine.id, p_request_id, v_kind
  where v_kind is distinct from (
    select kind from public.machine_events where cloud_machine_id = v_machine.id order by id desc limit 1
  );
  return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_machine));
end
$$;
revoke execute on function
  public.rename_machine, public.find_machine, public.cloud_machines_refuse_a_used_name
from public, anon, authenticated;
grant execute on function public.rename_machine, public.find_machine to service_role;

notify pgrst, 'reload schema';

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261129000520' $$;
