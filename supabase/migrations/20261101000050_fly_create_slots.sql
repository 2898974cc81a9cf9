-- Pacing. Fly.io lets an app create one machine a second, in bursts of three. However many isolates
-- there are, each create waits for a slot that is handed out here, so that a burst of users drains at
-- the limit itself and hardly anybody meets a 429.

create table public.fly_create_buckets (
  app_name text primary key,
  full_at timestamptz not null default '-infinity'
);

comment on table public.fly_create_buckets is
  'One token bucket per Fly app, as a virtual schedule (GCRA).';
comment on column public.fly_create_buckets.full_at is
  'When the bucket will be full again if nobody creates anything: each create moves it by one interval.';

create table public.fly_create_slots (
  id bigint generated always as identity primary key,
  app_name text not null references public.fly_create_buckets (app_name),
  slot_at timestamptz not null,
  -- Both null: the slot was given back and is free.
  cloud_machine_id uuid unique references public.cloud_machines (id) on delete cascade,
  user_id uuid,

  constraint free_slot_has_no_user check (cloud_machine_id is not null or user_id is null)
);

comment on table public.fly_create_slots is
  'The creates that have to wait, and when each may go. A create that need not wait has no row here.';
comment on column public.fly_create_slots.slot_at is 'Not before this may the create be sent.';
comment on column public.fly_create_slots.cloud_machine_id is 'Whose turn it is; null: a free slot.';
comment on column public.fly_create_slots.user_id is 'The owner, so that users take turns.';

-- The queue of an app in order.
create index fly_create_slots_queue on public.fly_create_slots (app_name, slot_at);

alter table public.fly_create_buckets enable row level security;
alter table public.fly_create_slots enable row level security;
revoke all on public.fly_create_buckets, public.fly_create_slots from public, anon, authenticated, service_role;
grant select, insert, update on public.fly_create_buckets to service_role;
grant select, insert, update, delete on public.fly_create_slots to service_role;

create function public.reserve_create_slot(
  p_app_names text[],
  p_user_id uuid,
  p_rate_per_second numeric,
  p_burst integer,
  p_wait_at_most_ms integer,
  out app_name text,
  out slot_at timestamptz,
  out wait_ms integer,
  out granted boolean
)
language plpgsql
set search_path = ''
as $$
declare
  -- Slots are exact and the network is not: without a margin a create that travels a little faster
  -- than the one before it would arrive before Fly.io has refilled its own bucket.
  c_margin constant interval := '100 milliseconds';
  v_interval constant interval := make_interval(secs => (1 / p_rate_per_second)::double precision);
  v_now timestamptz;
  v_full_at timestamptz;
  v_free_id bigint;
  v_free_at timestamptz;
  v_turn timestamptz;
begin
  if (select count(*) from public.fly_create_buckets b where b.app_name = any (p_app_names))
    < cardinality(p_app_names) then
    insert into public.fly_create_buckets (app_name)
    select unnest(p_app_names) on conflict do nothing;
  end if;
  -- Whoever reserves waits here for whoever reserved before: a matter of microseconds.
  perform 1 from public.fly_create_buckets b
  where b.app_name = any (p_app_names) order by b.app_name for update;
  v_now := clock_timestamp();

  select b.app_name, greatest(b.full_at, v_now) into reserve_create_slot.app_name, v_full_at
  from public.fly_create_buckets b
  where b.app_name = any (p_app_names)
  order by greatest(b.full_at, v_now), array_position(p_app_names, b.app_name)
  limit 1;

  slot_at := v_full_at - (p_burst - 1) * v_interval;
  if slot_at <= v_now then
    slot_at := v_now;
  else
    slot_at := slot_at + c_margin;
    -- The dead do not hold their places: whoever has not taken a slot for a minute never will.
    delete from public.fly_create_slots s
    where s.app_name = reserve_create_slot.app_name and s.slot_at < v_now - interval '1 minute';
    select s.id, s.slot_at into v_free_id, v_free_at from public.fly_create_slots s
    where s.app_name = reserve_create_slot.app_name and s.cloud_machine_id is null and s.slot_at > v_now
    order by s.slot_at limit 1;
    if v_free_id is not null then
      slot_at := v_free_at;
    end if;
  end if;

  -- Users take turns: this is the user's n-th waiting create, so it goes before the first create that
  -- is somebody else's (n+1)-th, and those from there on each move back by one slot.
  if slot_at > v_now then
    select min(ranked.slot_at) into v_turn
    from (
      select s.slot_at, row_number() over (partition by s.user_id order by s.slot_at) as turn
      from public.fly_create_slots s
      where s.app_name = reserve_create_slot.app_name and s.cloud_machine_id is not null and s.slot_at > v_now
    ) ranked
    where ranked.slot_at < reserve_create_slot.slot_at
      and ranked.turn > 1 + (
        select count(*) from public.fly_create_slots mine
        where mine.app_name = reserve_create_slot.app_name and mine.user_id = p_user_id and mine.slot_at > v_now
      );
  end if;

  wait_ms := ceil(extract(epoch from coalesce(v_turn, slot_at) - v_now) * 1000);
  granted := wait_ms <= p_wait_at_most_ms;
  if not granted then
    return;
  end if;

  if v_free_id is not null then
    delete from public.fly_create_slots s where s.id = v_free_id;
  else
    update public.fly_create_buckets b set full_at = v_full_at + v_interval
    where b.app_name = reserve_create_slot.app_name;
  end if;
  if v_turn is not null then
    update public.fly_create_slots s set slot_at = moved.next_at
    from (
      select q.id, lead(q.slot_at, 1, reserve_create_slot.slot_at) over (order by q.slot_at) as next_at
      from public.fly_create_slots q
      where q.app_name = reserve_create_slot.app_name and q.cloud_machine_id is not null
        and q.slot_at >= v_turn and q.slot_at < reserve_create_slot.slot_at
    ) moved
    where s.id = moved.id;
    slot_at := v_turn;
  end if;
end
$$;

comment on function public.reserve_create_slot is
  'Reserves the next create of one of the apps, the one that is free first. Not granted, and nothing is reserved, when the wait would be too long.';

create function public.take_create_slot(p_id uuid) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_wait_ms integer;
  v_open boolean;
begin
  select m.status = 'provisioning' and m.destroy_requested_at is null into v_open
  from public.cloud_machines m where m.id = p_id;
  if not coalesce(v_open, false) then
    perform public.give_back_create_slot(p_id);
    return jsonb_build_object('outcome', 'closed', 'wait_ms', 0);
  end if;

  select ceil(extract(epoch from s.slot_at - clock_timestamp()) * 1000) into v_wait_ms
  from public.fly_create_slots s where s.cloud_machine_id = p_id;
  if v_wait_ms > 0 then
    return jsonb_build_object('outcome', 'wait', 'wait_ms', v_wait_ms);
  end if;
  delete from public.fly_create_slots s where s.cloud_machine_id = p_id;
  return jsonb_build_object('outcome', 'go', 'wait_ms', 0);
end
$$;

comment on function public.take_create_slot is
  'Asked when a reserved slot has come. outcome: go; wait, because others went first; closed, because the row no longer wants a machine.';

create function public.give_back_create_slot(p_id uuid) returns void
language sql
set search_path = ''
as $$
  -- A slot in the future stays, free for the next to come; one in the past is gone.
  delete from public.fly_create_slots where cloud_machine_id = p_id and slot_at <= clock_timestamp();
  update public.fly_create_slots set cloud_machine_id = null, user_id = null where cloud_machine_id = p_id;
$$;

comment on function public.give_back_create_slot is 'Frees the slot of a create that will not be sent.';

create function public.delay_creates(
  p_id uuid,
  p_retry_after_ms integer,
  p_rate_per_second numeric,
  p_burst integer
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_interval constant interval := make_interval(secs => (1 / p_rate_per_second)::double precision);
  v_app_name text;
  v_user_id uuid;
  v_resume_at timestamptz;
  v_first_at timestamptz;
  v_delay interval;
begin
  select fly_app_name, user_id into v_app_name, v_user_id from public.cloud_machines where id = p_id;
  perform 1 from public.fly_create_buckets b where b.app_name = v_app_name for update;
  if not found then
    return jsonb_build_object('outcome', 'wait', 'wait_ms', p_retry_after_ms);
  end if;

  v_resume_at := clock_timestamp() + greatest(make_interval(secs => p_retry_after_ms / 1000.0), v_interval);
  select min(slot_at) into v_first_at from public.fly_create_slots
  where app_name = v_app_name and slot_at > clock_timestamp();
  -- Whoever was refused goes first; everybody else moves back to make room.
  v_delay := greatest(v_resume_at + v_interval - v_first_at, interval '0');
  update public.fly_create_slots set slot_at = slot_at + v_delay
  where app_name = v_app_name and slot_at > clock_timestamp() and v_delay > interval '0';
  update public.fly_create_buckets
  set full_at = greatest(full_at + coalesce(v_delay, interval '0'), v_resume_at + p_burst * v_interval)
  where app_name = v_app_name;
  insert into public.fly_create_slots (app_name, slot_at, cloud_machine_id, user_id)
  values (v_app_name, v_resume_at, p_id, v_user_id)
  on conflict (cloud_machine_id) do update set slot_at = excluded.slot_at;
  return jsonb_build_object(
    'outcome', 'wait',
    'wait_ms', ceil(extract(epoch from v_resume_at - clock_timestamp()) * 1000)
  );
end
$$;

comment on function public.delay_creates is
  'Fly.io answered 429 all the same: its bucket is empty, so everybody''s slots move back.';

-- A row that is closed needs its slot no more, whoever closed it.
create function public.cloud_machines_after_close() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform public.give_back_create_slot(new.id);
  return null;
end
$$;

create trigger cloud_machines_after_close
  after update of status on public.cloud_machines
  for each row
  when (old.status = 'provisioning' and new.status <> 'provisioning')
  execute function public.cloud_machines_after_close();

revoke execute on function
  public.reserve_create_slot, public.take_create_slot, public.give_back_create_slot,
  public.delay_creates, public.cloud_machines_after_close
from public, anon, authenticated;
grant execute on function
  public.reserve_create_slot, public.take_create_slot, public.give_back_create_slot,
  public.delay_creates, public.cloud_machines_after_close
to service_role;
