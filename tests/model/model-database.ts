/**
 * The database of the model test: the local stack with the project's migrations, whose clock follows
 * the schedule's virtual time and which remembers every version of every row.
 *
 * The clock: the migrations say `now()` with an empty `search_path`, which is `pg_catalog.now()`, and
 * Postgres runs its built-in functions by their number, so that replacing that function changes
 * nothing. It is renamed instead, and a new `pg_catalog.now()` reads a setting that is written before
 * each call; so with `clock_timestamp()`. Function bodies are resolved when they run and find the new
 * ones; column defaults were resolved when the tables were made and are set again. The keyword
 * `current_timestamp` would escape, so the schema must not use it, which is checked.
 */
import { startSupabase } from "../../dev/stack/supabase/mod.ts";
import type { LocalSupabase, SigningKey } from "../../dev/stack/supabase/mod.ts";
import { EPOCH_MS, type VirtualClock } from "../../dev/stack/clock.ts";
import type { EventRow, MachineRow, PoolEntry } from "../invariants/evidence.ts";

/** A row as one write left it. */
export interface RowVersion {
  step: number;
  atMs: number;
  row: MachineRow;
}

/** Part of the name of every machine: the same in each run, so that a schedule can be repeated. */
export const TAG = "c0ffee";

const SETUP = [
  "set allow_system_table_mods = on",
  ...["now", "clock_timestamp"].flatMap((name) => [
    `alter function pg_catalog.${name}() rename to system_${name}`,
    `create function pg_catalog.${name}() returns timestamptz language sql stable parallel safe as
     $$ select pg_catalog.current_setting('model.now')::timestamptz $$`,
  ]),
  "set allow_system_table_mods = off",
  `select set_config('model.now', '${new Date(EPOCH_MS).toISOString()}', false),
     set_config('model.step', '0', false)`,
  `do $$
   declare v record;
   begin
     for v in
       select d.adrelid::regclass as relation, a.attname
       from pg_attrdef d
       join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
       join pg_class c on c.oid = d.adrelid
       where c.relnamespace = 'public'::regnamespace
         and pg_get_expr(d.adbin, d.adrelid) = 'system_now()'
     loop
       execute format('alter table %s alter column %I set default now()', v.relation, v.attname);
     end loop;
   end $$`,
  "create schema model",
  "create sequence model.ids",
  // Random ids would order rows, and with them calls, differently each time.
  `create function model.next_id() returns uuid language sql volatile security definer
   as $$ select ('00000000-0000-4000-9000-' || lpad(to_hex(nextval('model.ids')), 12, '0'))::uuid $$`,
  "alter table public.cloud_machines alter column id set default model.next_id()",
  "alter table public.pooled_machines alter column id set default model.next_id()",
  `create table model.row_versions (
     position bigint generated always as identity, step integer, at timestamptz, version jsonb
   )`,
  "create table model.pool_versions (version jsonb)",
  `create function model.remember_pool() returns trigger language plpgsql security definer as $$
   begin
     insert into model.pool_versions (version) values (to_jsonb(new));
     return null;
   end $$`,
  `create trigger remember after insert or update on public.pooled_machines
   for each row execute function model.remember_pool()`,
  `create function model.remember() returns trigger language plpgsql security definer as $$
   begin
     insert into model.row_versions (step, at, version)
     values (current_setting('model.step')::integer, now(), to_jsonb(new));
     return null;
   end $$`,
  `create trigger remember after insert or update on public.cloud_machines
   for each row execute function model.remember()`,
  `create function model.reset(p_users uuid[]) returns void language plpgsql as $$
   begin
     delete from public.machine_events;
     delete from public.cloud_machines;
     delete from public.pooled_machines;
     delete from public.full_regions;
     delete from public.fly_create_slots;
     delete from public.fly_create_buckets;
     delete from public.reconcile_runs;
     delete from public.alerts;
     update public.alert_states set firing = false; delete from public.alert_codes;
     delete from public.fly_orphans;
     update public.installation set tag = '${TAG}', project_host = null, orphans_held = 0;
     delete from public.metric_counters;
     delete from public.metric_durations;
     truncate model.row_versions, model.pool_versions;
     delete from auth.users;
     perform setval('model.ids', 1, false);
     insert into auth.users (id, email) select u, u || '@example.com' from unnest(p_users) u;
   end $$`,
];

export class ModelDatabase {
  /** True while a call is being performed: what is printed meanwhile is not the function's. */
  performing = false;

  private constructor(readonly stack: LocalSupabase) {}

  /** @throws when the schema reads the time in a way that the virtual clock does not cover */
  static async start(signingKey: SigningKey): Promise<ModelDatabase> {
    const stack = await startSupabase({ signingKeys: [signingKey.publicJwk] });
    const escaping = await stack.sql<{ name: string }>(
      `select proname as name from pg_proc where pronamespace = 'public'::regnamespace
       and prosrc ~* '(current_timestamp|localtimestamp|(statement|transaction)_timestamp)'`,
    );
    if (escaping.length > 0) {
      const names = escaping.map(({ name }) => name).join(", ");
      throw new Error(
        `${names} would not follow the virtual clock: use now() or clock_timestamp()`,
      );
    }
    for (const statement of SETUP) await stack.sql(statement);
    return new ModelDatabase(stack);
  }

  /** Forgets everything and makes these users. */
  async reset(userIds: string[]): Promise<void> {
    await this.stack.sql("select model.reset($1)", [userIds]);
  }

  /** Sends a request to the Data API, at the virtual time. */
  async perform(request: Request, time: VirtualClock): Promise<Response> {
    await this.#setClock(time);
    this.performing = true;
    try {
      return await this.stack.fetch(request);
    } finally {
      this.performing = false;
    }
  }

  /** Runs one statement as the superuser, at the virtual time. */
  async sql<T extends object>(time: VirtualClock, query: string, params?: unknown[]): Promise<T[]> {
    await this.#setClock(time);
    return await this.stack.sql<T>(query, params);
  }

  /** Every version of every row, in the order in which they were written. */
  async versions(): Promise<RowVersion[]> {
    const found = await this.stack.sql<{ step: number; at_ms: string; version: MachineRow }>(
      `select step, extract(epoch from at) * 1000 as at_ms, version
       from model.row_versions order by position`,
    );
    return found.map(({ step, at_ms, version }) => ({ step, atMs: Number(at_ms), row: version }));
  }

  rows(): Promise<MachineRow[]> {
    return this.stack.sql<MachineRow>("select * from public.cloud_machines order by id");
  }

  /** The warm pool as it is now. */
  pool(): Promise<PoolEntry[]> {
    return this.stack.sql<PoolEntry>("select * from public.pooled_machines order by id");
  }

  /** The names of all machines that ever were in the pool. */
  async pooledNames(): Promise<string[]> {
    const found = await this.stack.sql<{ name: string }>(
      "select distinct version ->> 'machine_id' as name from model.pool_versions order by 1",
    );
    return found.map(({ name }) => name);
  }

  events(): Promise<EventRow[]> {
    return this.stack.sql<EventRow>(
      `select cloud_machine_id, request_id, kind, error_code, created_at
       from public.machine_events order by id`,
    );
  }

  /**
   * What `machine_usage` says of each machine. The view reads the server's own clock, so this means
   * nothing while a machine is there.
   */
  async usage(): Promise<{ machineId: string; runningMs: number; stoppedMs: number }[]> {
    const rows = await this.stack.sql<{ machine_id: string; running: number; stopped: number }>(
      `select machine_id, coalesce(sum(running_seconds), 0) as running,
         coalesce(sum(stopped_seconds), 0) as stopped
       from public.machine_usage group by machine_id`,
    );
    return rows.map(({ machine_id, running, stopped }) => ({
      machineId: machine_id,
      runningMs: Math.round(Number(running) * 1_000),
      stoppedMs: Math.round(Number(stopped) * 1_000),
    }));
  }

  /** Everything that the function wrote, as text. */
  async allText(): Promise<string> {
    const [found] = await this.stack.sql<{ everything: string }>(
      `select concat(
         (select string_agg(version::text, ' ') from model.row_versions),
         (select string_agg(version::text, ' ') from model.pool_versions),
         (select string_agg(to_jsonb(e)::text, ' ') from public.machine_events e),
         (select string_agg(to_jsonb(r)::text, ' ') from public.reconcile_runs r),
         (select string_agg(to_jsonb(a)::text, ' ') from public.alerts a),
         (select string_agg(to_jsonb(c)::text, ' ') from public.metric_counters c)) as everything`,
    );
    return found?.everything ?? "";
  }

  async #setClock(time: VirtualClock): Promise<void> {
    await this.stack.sql(
      "select set_config('model.now', $1, false), set_config('model.step', $2, false)",
      [new Date(time.now()).toISOString(), String(time.step)],
    );
  }
}
