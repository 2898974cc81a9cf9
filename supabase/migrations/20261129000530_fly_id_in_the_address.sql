-- {flyMachineId} in the template of an address is filled in when Fly.io's id is known, whoever records
-- it. Until then the row has no address, rather than one that leads nowhere.

alter table public.cloud_machines add column websocket_url_template text;
comment on column public.cloud_machines.websocket_url_template is
  'The address with {flyMachineId} in the place of Fly.io''s id; null where the address does not need it.';

create function public.cloud_machines_fill_in_fly_id() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if position('{flyMachineId}' in new.websocket_url) > 0 then
    new.websocket_url_template := new.websocket_url;
  end if;
  if new.websocket_url_template is not null then
    -- Null as long as the id is.
    new.websocket_url := replace(new.websocket_url_template, '{flyMachineId}', new.fly_machine_id);
  end if;
  return new;
end
$$;

create trigger cloud_machines_fill_in_fly_id
  before insert or update of websocket_url, fly_machine_id on public.cloud_machines
  for each row execute function public.cloud_machines_fill_in_fly_id();

revoke execute on function public.cloud_machines_fill_in_fly_id from public, anon, authenticated;

comment on column public.cloud_machines.websocket_url is
  'Where the owner connects. Null while the address needs Fly.io''s id and it is not known yet.';

notify pgrst, 'reload schema';

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261129000530' $$;
