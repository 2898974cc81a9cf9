-- An app is ours by organisation, network and name together. A row says which organisation its app was
-- made in, whatever the settings are now: create_bucket. A row written for a machine that had none now
-- says so too; without it, its app could never be proved to be ours, and so never be destroyed.

update public.cloud_machines m set create_bucket = b.app_name
from public.fly_create_buckets b
where m.create_bucket is null and m.fly_app_name = m.machine_id and b.app_name like 'org:%'
  -- With several, which of them it was is not known.
  and (select count(*) from public.fly_create_buckets where app_name like 'org:%') = 1;

drop function public.adopt_orphan;
create function public.adopt_orphan(
  p_machine_id text,
  p_fly_machine_id text,
  p_fly_app_name text,
  p_region text,
  p_cpu_priority text,
  p_user_id uuid,
  p_websocket_url text,
  p_request_id text,
  p_create_bucket text default null
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_id uuid;
begin
  insert into public.cloud_machines (
    machine_id, fly_machine_id, fly_app_name, create_bucket, region, cpu_priority, user_id, status,
    websocket_url, request_hash, request_id, deadline_at, provisioned_at
  ) values (
    p_machine_id, p_fly_machine_id, p_fly_app_name, p_create_bucket, p_region, p_cpu_priority,
    p_user_id, 'running', p_websocket_url, '', p_request_id, now(), now()
  )
  on conflict (machine_id) do nothing
  returning id into v_id;
  if v_id is null then
    return jsonb_build_object('outcome', 'conflict');
  end if;
  insert into public.machine_events (cloud_machine_id, request_id, kind)
  values (v_id, p_request_id, 'adopted');
  return jsonb_build_object('outcome', 'applied');
exception when foreign_key_violation then
  return jsonb_build_object('outcome', 'unknown_user');
end
$$;

comment on function public.adopt_orphan is
  'Writes the row of a machine that has none, from what Fly.io knows of it, after a restored backup. outcome: applied, conflict, unknown_user.';

revoke execute on function public.adopt_orphan from public, anon, authenticated;
grant execute on function public.adopt_orphan to service_role;

notify pgrst, 'reload schema';

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261129000510' $$;
