-- Reconcile every minute and retention once an hour, through pg_cron and pg_net where the database has
-- them. Both values come from Supabase Vault, so that no key stands in a job's text:
--   select vault.create_secret('https://<project-ref>.supabase.co/functions/v1/provision-machine', 'provision_machine_url');
--   select vault.create_secret('<a secret key of the project>', 'provision_machine_secret_key');
-- https://supabase.com/docs/guides/functions/schedule-functions

create function public.request_reconcile() returns bigint
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_url text;
  v_key text;
  v_request_id bigint;
begin
  select decrypted_secret into v_url from vault.decrypted_secrets where name = 'provision_machine_url';
  select decrypted_secret into v_key from vault.decrypted_secrets where name = 'provision_machine_secret_key';
  if v_url is null or v_key is null then
    raise exception 'reconcile is not scheduled: put provision_machine_url and provision_machine_secret_key into Vault';
  end if;
  select net.http_post(
    url := v_url || '/reconcile',
    headers := jsonb_build_object('apikey', v_key, 'content-type', 'application/json'),
    body := '{}'::jsonb,
    timeout_milliseconds := 55000
  ) into v_request_id;
  return v_request_id;
end
$$;

comment on function public.request_reconcile is
  'Calls POST /provision-machine/reconcile through pg_net. Fails, visibly in cron.job_run_details, while Vault lacks the URL or the key.';

revoke execute on function public.request_reconcile from public, anon, authenticated, service_role;

create function public.prune_history(p_keep_days integer default 90, p_limit integer default 20000)
returns integer
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_before constant timestamptz := now() - make_interval(days => p_keep_days);
  v_deleted integer;
begin
  with old as (
    select id from public.machine_events where created_at < v_before order by id limit p_limit
  )
  delete from public.machine_events e using old where e.id = old.id;
  get diagnostics v_deleted = row_count;
  delete from public.reconcile_runs where created_at < v_before;
  delete from public.alerts where created_at < v_before and next_attempt_at is null;
  return v_deleted;
end
$$;

comment on function public.prune_history is
  'Deletes history older than p_keep_days, at most p_limit events a call. Counters stay as they are.';

-- prune_history finds what is old without reading the rest: events arrive in the order of their
-- time, so a few pages of summary are as good as a tree.
create index machine_events_created_at on public.machine_events using brin (created_at);

revoke execute on function public.prune_history from public, anon, authenticated;
grant execute on function public.prune_history to service_role;

do $$
declare
  v_missing text;
begin
  select string_agg(name, ', ' order by name) into v_missing
  from unnest(array['pg_cron', 'pg_net', 'supabase_vault']) as wanted (name)
  where not exists (select 1 from pg_catalog.pg_available_extensions a where a.name = wanted.name);

  if v_missing is not null then
    raise notice 'reconcile is not scheduled: this database has no %. Call POST /provision-machine/reconcile every minute by other means.', v_missing;
    return;
  end if;

  create extension if not exists pg_cron;
  create extension if not exists pg_net with schema extensions;
  create extension if not exists supabase_vault;
  perform cron.schedule('provision-machine-reconcile', '* * * * *', 'select public.request_reconcile()');
  perform cron.schedule('provision-machine-prune', '17 * * * *', 'select public.prune_history()');
  if not exists (select 1 from vault.secrets where name = 'provision_machine_url')
    or not exists (select 1 from vault.secrets where name = 'provision_machine_secret_key') then
    raise notice 'reconcile is scheduled but will fail until Vault holds provision_machine_url and provision_machine_secret_key';
  end if;
end
$$;
