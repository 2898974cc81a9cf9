-- Machines without a row stay held back until there is none or an operator has decided, also when a list
-- that misses machines shows fewer of them for a while.

create or replace function public.begin_reconcile(p_project_host text default null) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_fenced constant boolean := public.is_fenced(p_project_host);
begin
  return (
    select jsonb_build_object('fenced', v_fenced, 'tag', tag, 'orphans_held', orphans_held)
    from public.installation
  );
end
$$;

comment on function public.begin_reconcile is
  'What a run of reconcile has to know first: whether this database belongs to its project, the tag in the names of its machines, and how many machines without a row are held back.';

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261126000800' $$;
