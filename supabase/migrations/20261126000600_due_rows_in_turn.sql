-- Which due rows reconcile takes first: those of requests that died, since no row may stay provisioning;
-- then one row per user and turn, so that one user's thousand clean-ups do not keep another's waiting.
-- A row that failed comes back after a pause that grows, behind those that did not.

alter table public.cloud_machines add column reconcile_attempts integer not null default 0;
comment on column public.cloud_machines.reconcile_attempts is
  'How often reconcile has taken the row since it last became due.';

create or replace function public.take_due_machines(p_limit integer, p_lease_ms integer)
returns jsonb
language sql
set search_path = ''
as $$
  with due as (
    select m.id
    from public.cloud_machines m
    join (
      select id, row_number() over (
        partition by user_id order by reconcile_attempts, reconcile_at
      ) as turn
      from public.cloud_machines
      where reconcile_at <= now()
    ) queue on queue.id = m.id
    where m.reconcile_at <= now()
    order by m.status <> 'provisioning', m.reconcile_attempts, queue.turn, m.reconcile_at
    limit p_limit
    for update of m skip locked
  ), taken as (
    -- The lease keeps others away while the taker talks to Fly.io, and gives the row back should it
    -- die. A row that is taken again and again waits longer each time, up to an hour.
    update public.cloud_machines m
    set reconcile_attempts = m.reconcile_attempts + 1,
      reconcile_at = now() + make_interval(secs => p_lease_ms / 1000.0) * case
        when m.status = 'provisioning' then 1
        else least(power(2, m.reconcile_attempts), 60)
      end
    from due
    where m.id = due.id
    returning m.*
  )
  select coalesce(
    jsonb_agg(to_jsonb(taken) order by taken.status <> 'provisioning', taken.reconcile_attempts),
    '[]'
  ) from taken
$$;

comment on function public.take_due_machines is
  'Hands rows that are due to reconcile, each to one taker at a time, for p_lease_ms at least: provisioning rows first, then users in turn.';

create function public.cloud_machines_reset_attempts() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.reconcile_attempts := 0;
  return new;
end
$$;

revoke execute on function public.cloud_machines_reset_attempts from public, anon, authenticated;

-- A row that starts a new task, or has none, starts without attempts.
create trigger cloud_machines_reset_attempts
  before update on public.cloud_machines
  for each row
  when (
    new.reconcile_attempts > 0 and (
      new.reconcile_at is null or new.status <> old.status
      or new.destroy_requested_at is distinct from old.destroy_requested_at
    )
  )
  execute function public.cloud_machines_reset_attempts();

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261126000600' $$;
