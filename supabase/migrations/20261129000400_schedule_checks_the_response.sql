-- The job that calls reconcile fails visibly, in cron.job_run_details, when the call before it was not
-- answered with 200: net._http_response, where the answer stands, is read by nobody.

alter table public.installation add column reconcile_request_id bigint;
comment on column public.installation.reconcile_request_id is
  'pg_net''s id of the newest call of reconcile.';

-- Without a search_path of its own, which would forbid the commit: every name is qualified.
create procedure public.run_reconcile()
language plpgsql
as $$
declare
  v_previous bigint;
  v_status integer;
  v_error text;
begin
  select reconcile_request_id into v_previous from public.installation;
  update public.installation set reconcile_request_id = public.request_reconcile();
  -- Whatever came of the call before, this one goes out.
  commit;
  if v_previous is null then
    return;
  end if;
  select status_code, coalesce(error_msg, left(content, 200)) into v_status, v_error
  from net._http_response where id = v_previous;
  if v_status is distinct from 200 then
    raise exception 'the reconcile before this one failed: HTTP %, %',
      coalesce(v_status::text, 'none'), coalesce(v_error, 'no response');
  end if;
end
$$;
revoke execute on procedure public.run_reconcile from public, anon, authenticated, service_role;
comment on procedure public.run_reconcile is
  'For pg_cron: calls reconcile, and fails when the call before was not answered with 200.';

do $$
begin
  if exists (select 1 from pg_catalog.pg_extension where extname = 'pg_cron') then
    perform cron.schedule('provision-machine-reconcile', '* * * * *', 'call public.run_reconcile()');
  end if;
end
$$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = ''
as $$ select '20261129000400' $$;
