/**
 * Changes of rows. Hosted, Realtime reads them from the database's log; PGlite has no such reader, so
 * triggers note them here, once someone subscribes. They are told when their transaction commits.
 */
import type { JWTPayload } from "jose";
import type { StackDatabase } from "../database.ts";
import { type Change, changeSchema } from "./messages.ts";

const CHANNEL = "local_realtime";

export interface Column {
  name: string;
  type: string;
}

interface Table {
  columns: Column[];
  keys: string[];
}

/** The changes of the tables in the publication `supabase_realtime`. */
export class Changes {
  readonly #database: StackDatabase;
  readonly #tell: (change: Change, columns: Column[]) => Promise<void>;
  readonly #failed: (error: unknown) => void;
  readonly #tables = new Map<string, Table>();
  #started: Promise<() => Promise<void>> | undefined;
  /** One after the other, in the order of the commits. */
  #told: Promise<void> = Promise.resolve();

  /** @param failed called when a change could not be told */
  constructor(
    database: StackDatabase,
    tell: (change: Change, columns: Column[]) => Promise<void>,
    failed: (error: unknown) => void,
  ) {
    this.#database = database;
    this.#tell = tell;
    this.#failed = failed;
  }

  /** Resolves once every later change is told. */
  async start(): Promise<void> {
    await (this.#started ??= this.#start());
  }

  async close(): Promise<void> {
    const stop = await this.#started;
    await stop?.();
    await this.#told;
  }

  /**
   * Whether a role with these claims may see the row now, as hosted Realtime asks for each change:
   * https://github.com/supabase/walrus
   */
  async isVisible(change: Change, claims: JWTPayload): Promise<boolean> {
    // "RLS policies are not applied to DELETE statements":
    // https://supabase.com/docs/guides/realtime/postgres-changes
    if (change.record === null) return true;
    const { record } = change;
    const { keys = [] } = this.#tables.get(nameOf(change)) ?? {};
    const where = keys.map((key, index) => `${quote(key)}::text = $${index + 1}`).join(" and ");
    return await this.#database.transaction(async (transaction) => {
      // lite's auth.uid() reads the older settings, one for each claim.
      const { role = "anon", sub = "", email = "" } = claims;
      await transaction.query(
        `select set_config('request.jwt.claims', $1, true), set_config('role', $2, true),
           set_config('request.jwt.claim.role', $2, true),
           set_config('request.jwt.claim.sub', $3, true),
           set_config('request.jwt.claim.email', $4, true)`,
        [JSON.stringify(claims), String(role), sub, String(email)],
      );
      const [row] = await transaction.query(
        `select count(*) > 0 as visible from ${nameOf(change)} where ${where}`,
        keys.map((key) => String(record[key])),
      );
      return row?.["visible"] === true;
    }).catch((error: unknown) => {
      // A role without any privilege on the table sees none of it.
      if (error instanceof Error && /permission denied/.test(error.message)) return false;
      throw error;
    });
  }

  /** The row's primary key, all that is sent of a row as it was before. */
  keyOf(change: Change): Record<string, unknown> {
    const { keys = [] } = this.#tables.get(nameOf(change)) ?? {};
    return Object.fromEntries(keys.map((key) => [key, change.old_record?.[key]]));
  }

  async #start(): Promise<() => Promise<void>> {
    await this.#database.transaction((transaction) => transaction.script(NOTE_CHANGES));
    const columns = await this.#database.query(COLUMNS);
    for (const { table, name, type, is_key } of columns) {
      const known = this.#tables.get(String(table)) ?? { columns: [], keys: [] };
      this.#tables.set(String(table), known);
      known.columns.push({ name: String(name), type: String(type) });
      if (is_key === true) known.keys.push(String(name));
    }
    return await this.#database.listen(CHANNEL, (id) => {
      this.#told = this.#told.then(() => this.#take(id)).catch(this.#failed);
    });
  }

  async #take(id: string): Promise<void> {
    const [row] = await this.#database.query(
      "delete from realtime.local_changes where id = $1 returning change",
      [id],
    );
    // Another stack on the same database may have taken it.
    if (row === undefined) return;
    const change = changeSchema.parse(row["change"]);
    const table = this.#tables.get(nameOf(change));
    if (table !== undefined) await this.#tell(change, table.columns);
  }
}

function nameOf({ schema, table }: Pick<Change, "schema" | "table">): string {
  return `${quote(schema)}.${quote(table)}`;
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

const NOTE_CHANGES = `
  create schema if not exists realtime;
  create table if not exists realtime.local_changes (
    id bigint generated always as identity primary key,
    change jsonb not null
  );
  create or replace function realtime.note_local_change() returns trigger
    language plpgsql security definer set search_path = '' as $$
  declare
    v_id bigint;
  begin
    insert into realtime.local_changes (change) values (jsonb_build_object(
      'schema', tg_table_schema,
      'table', tg_table_name,
      'type', tg_op,
      'commit_timestamp', now(),
      'record', case when tg_op <> 'DELETE' then to_jsonb(new) end,
      'old_record', case when tg_op <> 'INSERT' then to_jsonb(old) end
    )) returning id into v_id;
    perform pg_notify('${CHANNEL}', v_id::text);
    return null;
  end $$;
  do $$
  declare
    v_table record;
  begin
    for v_table in select * from pg_publication_tables where pubname = 'supabase_realtime' loop
      execute format(
        'create or replace trigger note_local_change after insert or update or delete on %I.%I
         for each row execute function realtime.note_local_change()',
        v_table.schemaname, v_table.tablename
      );
    end loop;
  end $$;
`;

const COLUMNS = `
  select format('"%s"."%s"', p.schemaname, p.tablename) as table, a.attname as name,
    t.typname as type, coalesce(a.attnum = any (i.indkey), false) as is_key
  from pg_publication_tables p
  join pg_class c on c.oid = format('%I.%I', p.schemaname, p.tablename)::regclass
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  join pg_type t on t.oid = a.atttypid
  left join pg_index i on i.indrelid = c.oid and i.indisprimary
  where p.pubname = 'supabase_realtime'
  order by c.oid, a.attnum
`;
