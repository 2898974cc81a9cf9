-- A stop that was asked for and failed explains no stop of much later: that one was Fly Proxy's, or the
-- owner's own doing at Fly.io, and its row says so.

create or replace function public.mark_machine_stopped(
  p_id uuid,
  p_reason text,
  p_request_id text,
  p_duration_ms integer,
  p_detail jsonb default '{}',
  p_unchanged_for_ms integer default 0
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_before public.cloud_machines;
  v_machine public.cloud_machines;
  v_reason text := p_reason;
  v_crashed boolean;
  v_intent public.machine_events;
  v_over timestamptz;
begin
  select * into v_before from public.cloud_machines where id = p_id for update;
  if not found then
    return jsonb_build_object('outcome', 'not_found', 'machine', null);
  end if;
  if v_before.status not in ('running', 'stopped') or v_before.destroy_requested_at is not null
    or v_before.updated_at > now() - make_interval(secs => p_unchanged_for_ms / 1000.0) then
    return jsonb_build_object('outcome', 'conflict', 'machine', to_jsonb(v_before));
  end if;
  -- Fly.io does not say who stopped it: what was asked for through us was not idle.
  if p_reason = 'idle' then
    select * into v_intent from public.machine_events
    where cloud_machine_id = p_id and (
      kind in ('running', 'adopted', 'started', 'start_requested', 'stop_requested', 'suspend_requested')
      -- Refused, so that Fly.io does not do it later either.
      or (kind = 'change_failed' and error_code in (
        'machine_state_conflict', 'fly_rejected', 'fly_unauthorized', 'machine_failed'
      ))
    )
    order by id desc limit 1;
    -- Where nothing is known of its outcome, Fly.io may do it a little later, but not hours later. No
    -- request takes longer than 150 seconds.
    select coalesce(min(created_at), v_intent.created_at + interval '150 seconds') into v_over
    from public.machine_events
    where cloud_machine_id = p_id and id > v_intent.id and kind = 'change_failed'
      and request_id = v_intent.request_id;
    if v_intent.kind in ('stop_requested', 'suspend_requested') and
      coalesce((p_detail ->> 'happenedAt')::timestamptz, now()) <= v_over + interval '30 seconds' then
      v_reason := 'requested';
    end if;
  end if;
  if v_before.stop_reason is not distinct from v_reason then
    return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_before));
  end if;

  update public.cloud_machines
  set status = 'stopped', stop_reason = v_reason, missing_since = null
  where id = p_id
  returning * into v_machine;
  v_crashed := v_reason not in ('requested', 'idle', 'suspended');
  insert into public.machine_events (cloud_machine_id, request_id, kind, error_code, duration_ms, detail)
  values (
    p_id, p_request_id,
    case when v_crashed then 'crashed' else 'stopped' end,
    case when v_crashed then 'machine_stopped' end,
    p_duration_ms, p_detail || jsonb_build_object('reason', v_reason)
  );
  return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_machine));
end
$$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261129000710' $$;
