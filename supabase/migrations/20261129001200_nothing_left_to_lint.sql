-- What `supabase db lint` and `supabase db advisors` found: two variables whose first value was a text
-- that is cast at each call, one that is never read, and a foreign key without an index.

do $$
declare
  v_change record;
  v_definition text;
begin
  -- One line each in functions that are long: their newest definitions, whatever they are by now.
  for v_change in
    select * from (values
      (
        'reserve_create_slot',
        'c_margin constant interval := ''100 milliseconds'';',
        'c_margin constant interval := interval ''100 milliseconds'';'
      ),
      ('evaluate_alerts', 'v_new jsonb := ''[]'';', 'v_new jsonb := jsonb_build_array();')
    ) as changes (name, line, better)
  loop
    select pg_catalog.pg_get_functiondef(p.oid) into strict v_definition
    from pg_catalog.pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proname = v_change.name;
    if position(v_change.better in v_definition) = 0 then
      if position(v_change.line in v_definition) = 0 then
        raise exception '% has no line %', v_change.name, v_change.line;
      end if;
      execute replace(v_definition, v_change.line, v_change.better);
    end if;
  end loop;
end
$$;

create or replace function public.mark_machine_found(
  p_id uuid,
  p_request_id text,
  p_duration_ms integer
) returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  update public.cloud_machines
  set status = 'running', error_code = null, error_message = null, reconcile_at = null
  where id = p_id and status = 'error' and error_code = 'machine_lost' and user_id is not null
    and destroy_requested_at is null and websocket_url is not null and provisioned_at is not null;
  if not found then
    return jsonb_build_object('outcome', 'conflict');
  end if;
  insert into public.machine_events (cloud_machine_id, request_id, kind, duration_ms)
  values (p_id, p_request_id, 'adopted', p_duration_ms);
  return jsonb_build_object('outcome', 'applied');
end
$$;

create index alerts_kind on public.alerts (kind);

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261129001200' $$;

-- Through a pooler PostgREST may otherwise serve the schema of before for minutes.
notify pgrst, 'reload schema';
