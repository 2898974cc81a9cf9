-- Regions that take no machine at the moment, so that no request has to find out by being refused.

create table public.full_regions (
  region text not null,
  reason text not null,
  full_until timestamptz not null,
  primary key (region, reason),
  constraint reason_is_known check (reason in ('no room', 'refused'))
);
comment on table public.full_regions is 'Regions of Fly.io that take no machine at the moment.';
comment on column public.full_regions.reason is 'no room: Fly.io says so where reconcile asks; refused: a create was refused for the organisation''s quota, or since the region is retired.';
comment on column public.full_regions.full_until is 'What is not said again until then is no longer true.';
alter table public.full_regions enable row level security;
revoke all on public.full_regions from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.full_regions to service_role;

create function public.note_regions(p_full text[], p_with_room text[], p_for_ms integer) returns void
language sql
set search_path = ''
as $$
  delete from public.full_regions
  where full_until <= now() or (reason = 'no room' and region = any (p_with_room));
  insert into public.full_regions (region, reason, full_until)
  select unnest(p_full), 'no room', now() + make_interval(secs => p_for_ms / 1000.0)
  on conflict (region, reason) do update set full_until = excluded.full_until;
$$;
revoke all on function public.note_regions from public, anon, authenticated;
grant execute on function public.note_regions to service_role;
comment on function public.note_regions is
  'What Fly.io says of the room in its regions; good for p_for_ms.';

create function public.note_refused_region(p_region text, p_for_ms integer) returns void
language sql
set search_path = ''
as $$
  insert into public.full_regions (region, reason, full_until)
  values (p_region, 'refused', now() + make_interval(secs => p_for_ms / 1000.0))
  on conflict (region, reason) do update set full_until = excluded.full_until;
$$;
revoke all on function public.note_refused_region from public, anon, authenticated;
grant execute on function public.note_refused_region to service_role;
comment on function public.note_refused_region is
  'A create was refused for the region as a whole; it is not tried first for p_for_ms.';

create function public.read_full_regions() returns jsonb
language sql stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object('region', region, 'reason', reason)), '[]')
  from public.full_regions where full_until > now()
$$;
revoke all on function public.read_full_regions from public, anon, authenticated;
grant execute on function public.read_full_regions to service_role;
comment on function public.read_full_regions is 'Regions that take no machine at the moment, and why.';
